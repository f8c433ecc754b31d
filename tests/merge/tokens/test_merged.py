"""Whole merges with a vocabulary of their own, from recipe to a model that transformers loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deltakit.errors import MismatchError
from deltakit.merge.sources.source import Source, open_source
from deltakit.merge.tokens import REPORT_NAME
from deltakit.merge.write import merge, plan_output
from support.merging import recipe
from support.models import save
from support.tensors import tensor
from support.vocabularies import TABLES, added, bpe, model, table, vocabulary


def tuned(folder: Path, base: Source, tokenizer: str, seed: int, rows: int | None = None, **more: Any) -> Source:
    """A fine-tune of the base: a little noise on every tensor, and its own rows behind the base's."""
    made = model(folder, tokenizer, seed=seed, rows=rows, **more)
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, spec in made.tensors.specs.items():
        values = table(made, name).copy()
        old = table(base, name) if name in base.tensors.specs else table(base)
        n = min(len(old), len(values))
        values[:n] = old[:n] + 0.002 * rng.standard_normal(old[:n].shape).astype(np.float32)
        tensors[name] = tensor(values.reshape(spec.shape), spec.dtype)
    save(folder / "model.safetensors", tensors)
    return open_source(folder.name, str(folder))


def run(folder: Path, base: Source, *models: Source, **more: Any) -> Source:
    items = [{"model": m.text, "name": m.label, "weight": 0.5} for m in models]
    merge(recipe("task_arithmetic", base.text, items, **more), folder / "out")
    return open_source("out", str(folder / "out"))


def load(source: Source) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(source.text).eval()


def logits(source: Source, ids: list[int]) -> Any:
    import torch

    with torch.no_grad():
        return load(source)(torch.tensor([ids])).logits[0].numpy()


def test_task_arithmetic_of_models_that_added_tokens(tmp_path: Path) -> None:
    base = model(tmp_path / "base", bpe(), seed=1)
    math = tuned(tmp_path / "math", base, added(bpe(), ["[PAD]", "<|im|>"]), 2)
    chat = tuned(tmp_path / "chat", base, added(bpe(), ["[PAD]", "zork"]), 3)
    made = run(tmp_path, base, math, chat, tokenizer={"source": "union"})
    ids = vocabulary(made.sidecar.files["tokenizer.json"].decode())
    assert json.loads((tmp_path / "out" / REPORT_NAME).read_bytes())["rows"] == 293
    for name in TABLES:
        b, m, c, found = (table(s, name) for s in (base, math, chat, made))
        assert np.allclose(found[:290], b + 0.5 * (m[:290] - b) + 0.5 * (c[:290] - b), atol=1e-6)
        assert np.allclose(found[ids["[PAD]"]], (m[290] + c[290]) / 2, atol=1e-6)
        assert np.allclose(found[ids["<|im|>"]], m[291], atol=1e-6)  # the only model's, whatever its weight
        assert np.allclose(found[ids["zork"]], c[291], atol=1e-6)
    assert logits(made, [1, 70, ids["zork"]]).shape == (3, 293)


@pytest.mark.parametrize(("base_rows", "rows"), [(291, 304), (304, 300)])
def test_paddings_that_differ(tmp_path: Path, base_rows: int, rows: int) -> None:
    """Fault 16, as 151665 rows with 152064, and 128320 with 128256: refused with a choice, and merged by it."""
    base = model(tmp_path / "base", bpe(), seed=1, rows=base_rows)
    math = tuned(tmp_path / "math", base, bpe(), 2, rows=rows)
    items = [{"model": math.text, "name": "math"}]
    if rows < base_rows:
        with pytest.raises(MismatchError) as caught:
            plan_output(recipe("task_arithmetic", base.text, items), tmp_path / "no")
        assert caught.value.exit_code == 3
        assert "tokenizer: {source: base}" in caught.value.remedy
    kept = run(tmp_path, base, math, tokenizer={"source": "base"})
    assert table(kept).shape[0] == base_rows
    planned = plan_output(recipe("task_arithmetic", base.text, items, tokenizer={"source": "union"}), tmp_path / "u")
    assert planned["tensors"][TABLES[0]]["shape"] == [304, 16]
    assert any("304 rows" in note for note in planned["notes"])


@pytest.mark.parametrize("more", [{}, {"tokenizer": {"source": "union"}}, {"chat_template": "chatml"}])
@pytest.mark.parametrize("tied_base", [True, False])
def test_tied_and_untied(tmp_path: Path, tied_base: bool, more: dict[str, Any]) -> None:
    """Fault 17: the logits are those of an oracle that works on transformers' state dicts."""
    import torch

    base = model(tmp_path / "base", bpe(), seed=1, tied=tied_base)
    other = tuned(tmp_path / "other", base, bpe(), 2, tied=not tied_base)
    made = run(tmp_path, base, other, **more)
    states = [load(s).state_dict() for s in (base, other)]
    oracle = load(base if not tied_base else other)
    oracle.load_state_dict({n: states[0][n] + 0.5 * (states[1][n] - states[0][n]) for n in states[0]})
    ids = list(range(0, 290, 7))
    with torch.no_grad():
        expected = oracle(torch.tensor([ids])).logits[0].numpy()
    assert np.allclose(logits(made, ids), expected, atol=1e-5)


def test_the_same_files_wherever_it_is_done(tmp_path: Path) -> None:
    made = []
    for part in ("here", "there"):
        base = model(tmp_path / part / "base", bpe(), seed=1)
        math = tuned(tmp_path / part / "math", base, added(bpe(), ["[PAD]"]), 2)
        made.append(run(tmp_path / part, base, math, tokenizer={"source": "union"}).sidecar.files)
        made[-1] = {**made[-1], REPORT_NAME: (tmp_path / part / "out" / REPORT_NAME).read_bytes()}
    assert made[0] == made[1]
