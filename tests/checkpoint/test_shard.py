"""One weight file: views without copies, and no silent change under them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from deltakit.checkpoint.shard import Shard
from deltakit.errors import CheckpointError, InputError
from deltakit.tensors import TensorSpec
from support.models import random_tensors, save


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save(tmp_path / "x.safetensors", random_tensors({"a": TensorSpec((64, 64), "F32")}))


def test_a_view_shares_the_map(path: Path) -> None:
    shard = Shard(path)
    place = shard.header.tensors["a"]
    one, two = shard.view(place.start, place.end), shard.view(place.start, place.end)
    assert one == path.read_bytes()[place.start : place.end]
    assert one.readonly
    assert np.shares_memory(np.frombuffer(one, "u1"), np.frombuffer(two, "u1"))


def test_views_live_through_dropped_pages(path: Path) -> None:
    shard = Shard(path)
    shard.drop_pages()
    view = shard.view(0, 100)
    shard.prefetch(0, 100)
    shard.prefetch(50, 50)
    shard.drop_pages()
    assert view == path.read_bytes()[:100]


@pytest.mark.parametrize("change", ["touch", "grow", "replace", "remove"])
def test_a_changed_file_is_noticed(path: Path, change: str) -> None:
    shard = Shard(path)
    shard.view(0, 8)
    if change == "touch":
        os.utime(path, ns=(5, 5))
    elif change == "grow":
        path.write_bytes(path.read_bytes() + b"x")
    elif change == "replace":
        path.with_suffix(".new").write_bytes(path.read_bytes())
        path.with_suffix(".new").rename(path)
    else:
        path.unlink()
    with pytest.raises(InputError):
        shard.view(0, 8)
    with pytest.raises(InputError):
        shard.check_unchanged()


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        Shard(tmp_path / "absent.safetensors")


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_only_regular_files_are_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.safetensors"
    os.mkfifo(path) if kind == "pipe" else path.mkdir()
    with pytest.raises(CheckpointError, match="not a regular file"):
        Shard(path)


def test_threads_may_read_at_once(path: Path) -> None:
    shard, whole = Shard(path), path.read_bytes()
    with ThreadPoolExecutor(8) as pool:
        views = list(pool.map(lambda i: shard.view(i, i + 50), range(200)))
    assert all(view == whole[i : i + 50] for i, view in enumerate(views))
