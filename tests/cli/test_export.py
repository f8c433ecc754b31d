"""`deltakit export` by the command line. Run: pytest tests/cli/test_export.py"""

from __future__ import annotations

import pytest

from support.cli import call
from support.models import tiny_llama, tiny_tuned


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("cli")
    tiny_tuned(tiny_llama(made / "base", seed=1), made / "tuned", seed=2)
    return made


def test_an_adapter_says_what_it_keeps_and_leaves_out(folder, tmp_path):
    done = call("export", folder / "base", folder / "tuned", "--to", "peft-lora", "--rank", 8, "-o", tmp_path / "a",
                "--format", "human")  # fmt: skip
    assert done.code == 0, done.err
    assert "rank 8 in 14 modules keeps" in done.out
    assert "left out: 7 tensors" in done.out
    assert "lm_head.weight" in done.out


def test_json_and_dry_run(folder, tmp_path):
    args = ("export", folder / "base", folder / "tuned", "--to", "peft-lora", "--energy", 0.5, "-o", tmp_path / "a")
    plan = call(*args, "--dry-run", "--format", "json").json
    assert not (tmp_path / "a").exists()
    made = call(*args, "--format", "json").json
    assert plan["rank"] == made["rank"]
    assert made["retained"] >= 0.49
    assert set(made["dropped"]) == set(plan["dropped"])


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--to", "gguf"), 2, "gguf"),
        (("--to", "peft-lora", "--rank", "1000"), 2, "512"),
        (("--to", "peft-lora", "--energy", "0"), 2, "energy 0.0"),
        (("--to", "hf", "--rank", "16"), 2, "--rank shapes an adapter"),
        (("--to", "peft-lora", "--rank", "16", "--energy", "0.9"), 2, "both say the rank"),
    ],
)
def test_wrong_arguments(folder, tmp_path, more, code, said):
    done = call("export", folder / "base", folder / "tuned", "-o", tmp_path / "a", *more)
    assert done.code == code
    assert said in done.err


def test_a_missing_delta_is_said(folder, tmp_path):
    done = call("export", folder / "base", folder / "nothing", "--to", "hf", "-o", tmp_path / "a")
    assert done.code == 3
    assert "nothing" in done.err
