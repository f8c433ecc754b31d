"""The fingerprint: what it depends on, what it does not, and its exact definition."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.checkpoint.fingerprint import content_digest, fingerprint
from deltakit.checkpoint.open import open_checkpoint
from deltakit.tensors import TensorSpec
from support.models import random_tensors, save, save_sharded
from support.tensors import memory

SPECS = {"b": TensorSpec((300, 1000), "F32"), "a": TensorSpec((5,), "BF16"), "e": TensorSpec((0, 3), "F16")}


def test_sharding_folder_and_order_do_not_matter(tmp_path: Path) -> None:
    tensors = random_tensors(SPECS)
    one = open_checkpoint(save(tmp_path / "one" / "model.safetensors", dict(reversed(tensors.items()))))
    many = open_checkpoint(save_sharded(tmp_path / "many", tensors, 3))
    assert fingerprint(one) == fingerprint(many) == fingerprint(memory(tensors))


def by_the_page(tensors: dict[str, tuple[TensorSpec, bytes]]) -> str:
    """The definition of docs/checkpoints.md, written out."""
    lines = b""
    for name, (spec, raw) in sorted(tensors.items()):
        blocks = [raw[i : i + 4096] for i in range(0, len(raw), 4096)]
        if len(blocks) > 64:
            blocks = [blocks[i * (len(blocks) - 1) // 63] for i in range(64)]
        digest = hashlib.sha256(b"".join(blocks)).hexdigest()
        lines += f'["{name}","{spec.dtype}",{list(spec.shape)},"{digest}"]\n'.replace(", ", ",").encode()
    return "sha256:" + hashlib.sha256(lines).hexdigest()


def test_it_is_what_the_page_says() -> None:
    tensors = random_tensors(SPECS)
    assert fingerprint(memory(tensors)) == by_the_page(tensors)


@given(st.integers(0, 63), st.integers(0, 4095))
def test_every_sampled_byte_counts(block: int, offset: int) -> None:
    spec = TensorSpec((64, 4096), "U8")
    raw = bytearray(spec.nbytes)
    before = fingerprint(memory({"t": (spec, bytes(raw))}))
    raw[block * 4096 + offset] = 1
    assert fingerprint(memory({"t": (spec, bytes(raw))})) != before


@pytest.mark.parametrize(
    ("name", "spec"),
    [("u", TensorSpec((4, 3), "F32")), ("t", TensorSpec((3, 4), "F32")), ("t", TensorSpec((12,), "U32"))],
)
def test_name_shape_and_dtype_count(name: str, spec: TensorSpec) -> None:
    raw = bytes(range(48))
    assert fingerprint(memory({name: (spec, raw)})) != fingerprint(memory({"t": (TensorSpec((4, 3), "F32"), raw)}))


@pytest.mark.parametrize("row", [1, 3, 5000, 150_000, 300_000])
def test_blocks_that_cross_rows(row: int) -> None:
    tensors = random_tensors({"t": TensorSpec((300_000 // row, row), "BF16")})
    assert fingerprint(memory(tensors)) == by_the_page(tensors)


def test_the_content_digest_misses_no_byte(tmp_path: Path) -> None:
    tensors = random_tensors(SPECS)
    found = content_digest(memory(tensors))
    assert content_digest(open_checkpoint(save_sharded(tmp_path / "many", tensors, 3))) == found
    spec, raw = tensors["b"]
    changed = bytearray(raw)
    changed[5000] ^= 1  # between the blocks that a fingerprint looks at
    assert fingerprint(memory({**tensors, "b": (spec, bytes(changed))})) == fingerprint(memory(tensors))
    assert content_digest(memory({**tensors, "b": (spec, bytes(changed))})) != found
