"""How much of which text. Run: pytest tests/calibrate/test_sampling.py"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deltakit.calibrate.sampling import Sampling, check_runnable, open_walker, room
from deltakit.checkpoint.open import open_checkpoint
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.errors import InputError, RecipeError, ResourceError


def test_a_text_is_cut_to_samples(tiny_base: Path) -> None:
    sidecar = open_checkpoint(tiny_base).sidecar
    sampling = Sampling(samples=3, length=8, batch=2)
    batches = sampling.batches(sidecar)
    assert batches.ids.shape == (3, 8)
    assert sampling.described(batches) == {
        "text": "sha256:" + sampling.described(batches)["text"][7:], "samples": 3, "length": 8, "batch": 2,
    }  # fmt: skip
    assert open_walker(open_checkpoint(tiny_base).specs, sidecar, batches).batches is batches


def test_a_short_text_is_described_as_it_is(tiny_base: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("abcdefghij")
    sampling = Sampling(str(tmp_path / "t.txt"), samples=128, length=4)
    found = sampling.described(sampling.batches(open_checkpoint(tiny_base).sidecar))
    assert (found["samples"], found["length"]) == (2, 4)


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"length": 1}, {"batch": 0}])
def test_numbers_that_make_no_sense(wrong: dict[str, int]) -> None:
    with pytest.raises(RecipeError, match=next(iter(wrong))):
        Sampling(**wrong)


def test_room() -> None:
    def of(**config: object) -> int:
        return room(Sidecar({"config.json": json.dumps(config).encode()}))

    assert room(Sidecar({})) == of() == of(max_position_embeddings=4096) == 512
    assert of(n_positions=64) == of(text_config={"max_position_embeddings": 64}) == 64


def test_what_a_model_needs_to_run(tiny_base: Path) -> None:
    sidecar = open_checkpoint(tiny_base).sidecar
    check_runnable(sidecar, "this")
    for name, said in (("config.json", "no config.json"), ("tokenizer", "no tokenizer")):
        files = {n: raw for n, raw in sidecar.files.items() if not n.startswith(name)}
        with pytest.raises(InputError, match=said):
            check_runnable(Sidecar(files), "this")


def test_a_device_that_is_not_there(tiny_base: Path) -> None:
    checkpoint = open_checkpoint(tiny_base)
    batches = Sampling(samples=1, length=4).batches(checkpoint.sidecar)
    import torch

    if not torch.cuda.is_available():
        with pytest.raises(ResourceError, match="no CUDA"):
            open_walker(checkpoint.specs, checkpoint.sidecar, batches, "cuda")


def test_a_text_of_few_tokens_is_said_to_be_one(tiny_base, tmp_path, caplog):
    sidecar = open_checkpoint(tiny_base).sidecar
    (tmp_path / "short.txt").write_text("ab ab ab")
    Sampling(str(tmp_path / "short.txt")).batches(sidecar)
    assert "short.txt gives" in caplog.text
    caplog.clear()
    Sampling(samples=2, length=8).batches(sidecar)  # as few as were asked for
    assert not caplog.text
