"""A flipped bit is found where there is a manifest, and said to be unfindable where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.checkpoint.verify import Verified, verify_checkpoint
from deltakit.checkpoint.write import write_checkpoint
from deltakit.errors import CheckpointError, VerificationError
from deltakit.manifest import MANIFEST_NAME
from deltakit.tensors import TensorSpec
from support.models import random_tensors
from support.tensors import memory

SPECS = {"a": TensorSpec((6, 5), "BF16"), "b": TensorSpec((7,), "F32")}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    beside = Sidecar({"config.json": b"{}", "tokenizer.json": b"[]"})
    return write_checkpoint(memory(random_tensors(SPECS)), tmp_path / "out", sidecar=beside, manifest={}).path


def flip(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(bytes(raw))


def test_an_intact_checkpoint(written: Path) -> None:
    assert verify_checkpoint(written) == Verified(tensors=2, nbytes=88, manifest=True)


@pytest.mark.parametrize("name", sorted(SPECS))
@pytest.mark.parametrize("threads", [1, 4])
def test_a_flipped_bit_is_named(written: Path, name: str, threads: int) -> None:
    place = open_checkpoint(written).shards["model.safetensors"].header.tensors[name]
    flip(written / "model.safetensors", place.end - 1)
    with pytest.raises(VerificationError) as caught:
        verify_checkpoint(written, threads=threads)
    assert caught.value.exit_code == 6
    assert len(caught.value.details) == 1
    assert f"tensor {name!r}: checksum" in caught.value.details[0]


def test_files_beside_the_weights_are_compared(written: Path) -> None:
    (written / "config.json").write_text('{"a": 1}')
    (written / "tokenizer.json").unlink()
    with pytest.raises(VerificationError) as caught:
        verify_checkpoint(written)
    assert caught.value.details == ("config.json: its digest differs", "tokenizer.json is missing")


def test_a_manifest_of_other_tensors(written: Path) -> None:
    manifest = json.loads((written / MANIFEST_NAME).read_text())
    tensors = manifest["output"]["tensors"]
    tensors["c"] = tensors.pop("a")
    tensors["b"]["shape"] = [1, 7]
    (written / MANIFEST_NAME).write_text(json.dumps(manifest))
    with pytest.raises(VerificationError) as caught:
        verify_checkpoint(written)
    assert caught.value.details == (
        "tensor 'c' is missing",
        "tensor 'a' is not in the manifest",
        "tensor 'b': shape [7], the manifest says [1, 7]",
    )


def test_without_a_manifest_only_the_format_is_checked(written: Path) -> None:
    (written / MANIFEST_NAME).unlink()
    flip(written / "model.safetensors", -1)
    assert not verify_checkpoint(written).manifest
    (written / "model.safetensors").write_bytes((written / "model.safetensors").read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="truncated"):
        verify_checkpoint(written)
