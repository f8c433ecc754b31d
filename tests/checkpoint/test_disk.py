"""The one place that writes: what it leaves on the disk, and which errors come of which failures."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from deltakit.checkpoint import disk
from deltakit.errors import DeltakitError, InputError, RecipeError, ResourceError
from support.faults import broken, faulty


def test_a_file_is_written_over_whole(tmp_path: Path) -> None:
    path = tmp_path / "f"
    disk.write_file(path, b"a longer text")
    disk.write_file(path, b"short")
    assert path.read_bytes() == b"short"


def test_positional_writes_go_on_after_a_short_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fd = disk.create(tmp_path / "f")
    with faulty() as shim:
        monkeypatch.setattr(shim, "pwrite", lambda f, data, at: os.pwrite(f, data[:3], at), raising=False)
        disk.pwrite(fd, b"0123456789", 2, tmp_path / "f")
    disk.close(fd)
    assert (tmp_path / "f").read_bytes() == b"\0\0" + b"0123456789"


def test_a_symlink_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("precious")
    (tmp_path / "link").symlink_to("target")
    with pytest.raises(InputError):
        disk.create(tmp_path / "link")
    assert (tmp_path / "target").read_text() == "precious"


def test_folders_are_made_and_removed(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    disk.make_folder(deep)
    disk.make_folder(deep)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "f").write_text("x")
    (deep / "link").symlink_to(tmp_path / "outside")
    (deep / "file").write_text("x")
    disk.remove_tree(tmp_path / "a")
    disk.remove_tree(tmp_path / "a")
    disk.remove(tmp_path / "a")
    assert (tmp_path / "outside" / "f").read_text() == "x"
    assert [p.name for p in tmp_path.iterdir()] == ["outside"]


@pytest.mark.parametrize("swap", [True, False])
def test_exchange_swaps_two_folders(tmp_path: Path, swap: bool) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    with faulty(swap=swap):
        disk.exchange(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a" / "b").exists()
    assert (tmp_path / "b" / "a").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, ResourceError),
        (errno.EDQUOT, ResourceError),
        (errno.EIO, ResourceError),
        (errno.EXDEV, ResourceError),
        (errno.EACCES, InputError),
        (errno.EROFS, InputError),
        (errno.ENOTDIR, InputError),
        (errno.ENAMETOOLONG, RecipeError),
    ],
)
def test_failures_become_errors_with_a_place_and_a_remedy(tmp_path: Path, code: int, kind: type[DeltakitError]) -> None:
    with faulty(broken(0, code)), pytest.raises(kind, match="cannot create") as caught:
        disk.make_folder(tmp_path / "x")
    assert str(tmp_path / "x") in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_cannot_sync_is_a_resource_error(tmp_path: Path, code: int) -> None:
    with faulty(broken(0, code, only="fsync")), pytest.raises(ResourceError, match="cannot sync"):
        disk.write_file(tmp_path / "f", b"x")


def test_space_is_asked_of_the_nearest_folder_that_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def usage(path: Path) -> object:
        asked.append(path)
        return shutil._ntuple_diskusage(100, 50, 50)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    assert disk.require_space(tmp_path / "not" / "yet", 50) == 50
    assert asked == [tmp_path]
    with pytest.raises(ResourceError, match="51 bytes needed, 50 free"):
        disk.require_space(tmp_path, 51)
