"""Compressing, fault by fault (2 of 3): models, texts and devices that cannot be worked with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deltakit.checkpoint.open import open_checkpoint
from support.cli import call
from support.merge_world import refused
from support.models import save, tiny_llama, tiny_tuned

UP = "model.layers.0.mlp.up_proj.weight"
TEXT = ("--samples", 2, "--length", 16)


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """base and math in a fresh folder."""
    base = tiny_llama(tmp_path / "base", seed=1, layers=1)
    tiny_tuned(base, tmp_path / "math", seed=2)
    return tmp_path


def compress(world: Path, *more: object, tuned: str = "math") -> list[object]:
    return ["compress", world / "base", world / tuned, "-o", world / "out", *more]


def spoil(model: Path, name: str, value: int) -> None:
    """One element of a bfloat16 tensor replaced by these bits."""
    opened = open_checkpoint(model)
    tensors = {n: (s, bytes(opened.buffer(n))) for n, s in opened.specs.items()}
    bits = np.frombuffer(tensors[name][1], "<u2").copy()
    bits[7] = value
    tensors[name] = (tensors[name][0], bits.tobytes())
    save(model / "model.safetensors", tensors)


@pytest.mark.parametrize("bits", [0x7FC0, 0x7F80])  # NaN, infinity
@pytest.mark.parametrize("model", ["base", "math"])
@pytest.mark.parametrize("name", [UP, "model.norm.weight"])
@pytest.mark.parametrize("codec", ["svd_mixed", "auto", "exact"])
def test_numbers_that_are_not_finite(world: Path, bits: int, model: str, name: str, codec: str) -> None:
    """In the fine-tune or in the base, in what is coded or in what stays exact: the tensor is named."""
    spoil(world / model, name, bits)
    size = () if codec == "exact" else ("--ratio", 8)
    refused(call(*compress(world, "--codec", codec, *size)), 3, name, "not finite", "hint")
    assert not (world / "out").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.txt", None, "no text file"),
        ("empty.txt", b"", "holds no text"),
        ("blank.txt", b" \n\n ", "holds no text"),
        ("binary.txt", bytes(range(256)) * 20, "UTF-8"),
        ("empty.jsonl", b"", "text"),
        ("broken.jsonl", b'{"text": "a"}\n{"text": \n', "broken.jsonl"),
        ("fields.jsonl", b'{"body": "a"}\n', "no text"),
        ("short.txt", b"a", "1 tokens"),
    ],
)
def test_calibration_texts_that_are_none(world: Path, name: str, content: bytes | None, said: str) -> None:
    if content is not None:
        (world / name).write_bytes(content)
    for more in ((), ("--hessians", world / "h")):
        done = call(*compress(world, "--ratio", 8, "--calibrate", world / name, *TEXT, *more))
        refused(done, 3, said, "hint")
    assert sorted(p.name for p in world.iterdir() if p.name != name) == ["base", "math"]


def test_calibration_without_a_tokenizer(world: Path) -> None:
    for model in ("base", "math"):
        for file in (world / model).glob("tokenizer*"):
            file.unlink()
    refused(call(*compress(world, "--ratio", 8, "--calibrate", "builtin", *TEXT)), 3, "tokenizer", "hint")
    assert not (world / "out").exists()
    assert call(*compress(world, "--ratio", 8)).code == 0


def test_hessians_of_another_text_and_of_another_base(world: Path) -> None:
    words = ("--ratio", 8, "--hessians", world / "h", *TEXT, "--calibrate")
    assert call(*compress(world, *words, "builtin")).code == 0
    (world / "text.txt").write_text("other words, and more of them, for all that is known\n" * 9)
    refused(call(*compress(world, *words, world / "text.txt", "--overwrite")), 3, str(world / "h"), "hint")
    other = tiny_llama(world / "other", seed=9, layers=1)
    done = call("compress", other, world / "math", *words, "builtin", "-o", world / "out2")
    refused(done, 3, str(world / "h"), "hint")
    (world / "h").write_bytes(b"nothing of the kind")
    refused(call(*compress(world, *words, "builtin", "--overwrite")), 3, str(world / "h"), "hint")


def test_a_device_that_is_not_there(world: Path) -> None:
    refused(call(*compress(world, "--ratio", 8, "--device", "tpu")), 2, "tpu", "cpu")
    refused(call(*compress(world, "--ratio", 8, "--device", "cuda:77")), 5, "cuda:77", "--device cpu")


def test_two_fine_tunes_of_one_name(world: Path) -> None:
    done = call("compress", world / "base", world / "math", world / "math", "--ratio", 8, "-o", world / "out")
    refused(done, 2, "several fine-tunes are called 'math'")


def test_a_base_without_a_tensor_of_the_archive(world: Path) -> None:
    """Refused for what it is: another base."""
    assert call(*compress(world, "--ratio", 8)).code == 0
    opened = open_checkpoint(world / "base")
    tensors = {n: (s, bytes(opened.buffer(n))) for n, s in opened.specs.items() if n != UP}
    save(world / "base" / "model.safetensors", tensors)
    for words in (
        ("apply", world / "base", world / "out", "-o", world / "made"),
        ("compress", world / "base", world / "out", "--ratio", 16, "-o", world / "made"),
        ("export", world / "base", world / "out", "--to", "hf", "-o", world / "made"),
        ("generate", f"{world / 'base'} + {world / 'out'}", "--prompt", "a"),
    ):
        refused(call(*words), 3, "hint")
    assert not (world / "made").exists()
