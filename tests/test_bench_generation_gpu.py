"""The benchmark of generation on a GPU runs on a CPU in its tiny form, and its parts say what they should."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

FOLDER = Path(__file__).resolve().parents[1] / "bench/generation_gpu"


@pytest.fixture(scope="module")
def parts() -> Any:
    """Its modules, which are imported as its script imports them."""
    import importlib

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield importlib.import_module("shapes"), importlib.import_module("engines")
        for name in ("shapes", "engines"):
            sys.modules.pop(name, None)


def test_the_tiny_form_runs_every_part(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    command = [sys.executable, str(FOLDER / "run.py"), "--tiny", "--page", str(page), "--engines", "ours", "static"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(page.with_suffix(".json").read_text())
    for engine in ("ours: plain attention", "transformers, static batches"):
        assert found[f"tiny/{engine}"].get("tokens"), found[f"tiny/{engine}"]
    assert found["tiny/ours: plain attention"]["tokens"] == found["tiny/transformers, static batches"]["tokens"]
    assert len(found["tiny/first"]) == 4
    assert not [row for rows in found["tiny/first"].values() for row in rows if "failed" in row]
    assert found["tiny/first"]["Weights swapped in place"][0]["a step sees it"]
    assert "| tiny | transformers, static batches | 4 |" in page.read_text()


def test_answers_have_the_lengths_they_were_asked_for(parts: Any) -> None:
    shapes, engines = parts
    asked = shapes.workload(40, 50)
    assert asked == shapes.workload(40, 50)
    assert len({a.ids[-engines.TAIL :] for a in asked}) == 40
    middle = sorted(a.tokens for a in asked)[20]
    assert 35 <= middle <= 70
    known = shapes.tokenizer()
    assert all(tuple(known(a.text)["input_ids"]) == a.ids for a in asked)


def test_the_roofline_is_that_of_the_notes(parts: Any) -> None:
    """Llama 3 8B, 256 rows of 400 tokens at 4.3 TB/s and 0.65 * 790 TFLOP/s: products 7.6 ms, and keys and values."""
    shapes, _ = parts
    import transformers

    kind, sizes = shapes.SHAPES["8B (Llama 3)"]
    embedding = torch.empty(sizes["vocab_size"], sizes["hidden_size"], device="meta")
    model = SimpleNamespace(
        dtype=torch.bfloat16,
        config=getattr(transformers, f"{kind}Config")(**sizes),
        parameters=lambda: [torch.empty(8_030_261_248, device="meta")],  # what its checkpoint holds
        get_input_embeddings=lambda: SimpleNamespace(weight=embedding),
    )
    machine = {"bytes per second": 4.3e12, "operations per second": 0.65 * 790e12}
    found = shapes.roofline(model, 256, 400, machine)
    assert found["step ms"] == pytest.approx(7.5 + 3.1, abs=0.3)
    assert 23_000 < found["tokens per second"] < 26_000
