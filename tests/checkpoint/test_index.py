"""The shard index: refused if it leads outside, complete lists of what does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deltakit.checkpoint.header import read_header
from deltakit.checkpoint.index import check_shards, disagreements, read_index
from deltakit.errors import CheckpointError, UnsafeError
from deltakit.tensors import TensorSpec
from support.models import random_tensors, save

NAME = "model.safetensors.index.json"


def write(folder: Path, parsed: Any) -> Path:
    path = folder / NAME
    path.write_text(parsed if isinstance(parsed, str) else json.dumps(parsed))
    return path


def shards(folder: Path, **tensors: str) -> None:
    for file, names in tensors.items():
        save(folder / f"{file}.safetensors", random_tensors({n: TensorSpec((2,), "F32") for n in names}))


def test_a_good_index(tmp_path: Path) -> None:
    shards(tmp_path, one="ab", two="c")
    weights = {"a": "one.safetensors", "b": "one.safetensors", "c": "two.safetensors"}
    index = read_index(write(tmp_path, {"metadata": {"total_size": 24.0}, "weight_map": weights}))
    assert index.files == ("one.safetensors", "two.safetensors")
    assert index.total_size == 24
    check_shards(tmp_path / NAME, index)
    headers = {f: read_header(tmp_path / f) for f in index.files}
    assert disagreements(index, headers) == []


@pytest.mark.parametrize(
    "parsed", [[], {}, {"weight_map": {}}, {"weight_map": ["a"]}, {"weight_map": {"a": 1}}, "{", ""]
)
def test_what_is_no_index(tmp_path: Path, parsed: Any) -> None:
    with pytest.raises(CheckpointError):
        read_index(write(tmp_path, parsed))


def test_a_tensor_named_twice(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="duplicate"):
        read_index(write(tmp_path, '{"weight_map": {"a": "x", "a": "y"}}'))


@pytest.mark.parametrize("value", ["../x.safetensors", "/etc/passwd", "sub/x.safetensors", "..\\x", "C:\\x"])
def test_a_shard_outside_is_unsafe(tmp_path: Path, value: str) -> None:
    with pytest.raises(UnsafeError):
        read_index(write(tmp_path, {"weight_map": {"a": value}}))


def test_a_linked_shard_outside_is_unsafe(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    shards(tmp_path, secret="a")
    (tmp_path / "model" / "x.safetensors").symlink_to(tmp_path / "secret.safetensors")
    with pytest.raises(UnsafeError, match="symlink"):
        read_index(write(tmp_path / "model", {"weight_map": {"a": "x.safetensors"}}))


def test_all_missing_shards_are_listed(tmp_path: Path) -> None:
    shards(tmp_path, one="a")
    weights = {"a": "one.safetensors", "b": "two.safetensors", "c": "two.safetensors", "d": "three.safetensors"}
    with pytest.raises(CheckpointError, match="2 of 3 shards are missing") as caught:
        check_shards(tmp_path / NAME, read_index(write(tmp_path, {"weight_map": weights})))
    assert caught.value.details == ("three.safetensors (1 tensors)", "two.safetensors (2 tensors)")


def test_every_disagreement_is_listed(tmp_path: Path) -> None:
    shards(tmp_path, one="abx", two="bcy")
    weights = {"a": "two.safetensors", "b": "one.safetensors", "c": "two.safetensors", "gone": "one.safetensors",
               "x": "one.safetensors"}  # fmt: skip
    index = read_index(write(tmp_path, {"weight_map": weights}))
    assert disagreements(index, {f: read_header(tmp_path / f) for f in index.files}) == [
        "tensor 'a' is in one.safetensors, the index says two.safetensors",
        "tensor 'b' is in 2 shards: one.safetensors, two.safetensors",
        "tensor 'gone' is missing: the index says one.safetensors",
        "tensor 'y' is in two.safetensors but not in the index",
    ]
