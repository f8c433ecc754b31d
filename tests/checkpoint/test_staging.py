"""Staging as other writers use it: a folder or a single file, resumed, committed once."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from deltakit import manifest as manifests
from deltakit.checkpoint import disk
from deltakit.checkpoint.checksum import checksum
from deltakit.checkpoint.staging import Staging, check_apart, check_output, resolved, staging_root
from deltakit.errors import InputError, RecipeError, ResourceError, UnsafeError
from support.faults import ALL, faulty, killed_at, power_cut_at

PLAN = {"inputs": ["sha256:1"], "seed": 1}


@pytest.fixture(autouse=True)
def no_real_sync() -> Iterator[None]:
    with faulty():
        yield


def note(staging: Staging, name: str, raw: bytes) -> None:
    (staging.folder / name).write_bytes(raw)
    staging.journal.add(name, name, 0, len(raw), checksum(raw))


def test_a_folder_appears_whole_with_its_manifest(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    with Staging(out, PLAN) as staging:
        assert staging.folder.is_dir()
        assert staging.folder.is_relative_to(staging_root(out, PLAN))
        note(staging, "x", b"123")
        assert not out.exists()
        staging.commit({"schema_version": 1})
    assert (out / "x").read_bytes() == b"123"
    assert manifests.read_manifest(out) == {"schema_version": 1}
    assert [p.name for p in out.parent.iterdir()] == ["out"]


def test_a_file_appears_whole(tmp_path: Path) -> None:
    with Staging(tmp_path / "a.delta", PLAN) as staging:
        note(staging, "made", b"123")
        staging.commit_file("made")
    assert (tmp_path / "a.delta").read_bytes() == b"123"
    assert len(list(tmp_path.iterdir())) == 1


def test_an_old_file_is_replaced_only_on_demand_and_keeps_its_mode(tmp_path: Path) -> None:
    out = tmp_path / "a.delta"
    out.write_bytes(b"old")
    out.chmod(0o640)
    with pytest.raises(InputError, match="--overwrite"), Staging(out, PLAN):
        pass
    with Staging(out, PLAN, overwrite=True) as staging:
        note(staging, "made", b"new")
        assert out.read_bytes() == b"old"
        staging.commit_file("made")
    assert out.read_bytes() == b"new"
    assert stat.S_IMODE(out.stat().st_mode) == 0o640


@pytest.mark.parametrize("error", [ResourceError("full"), KeyboardInterrupt(), RuntimeError("a bug")])
def test_what_is_done_survives_a_failure(tmp_path: Path, error: BaseException) -> None:
    def fail() -> None:
        with Staging(tmp_path / "out", PLAN) as staging:
            note(staging, "x", b"123")
            raise error

    with pytest.raises(type(error)):
        fail()
    with Staging(tmp_path / "out", PLAN) as staging:
        assert staging.journal.get("x")
        assert (staging.folder / "x").read_bytes() == b"123"
    with Staging(tmp_path / "out", {**PLAN, "seed": 2}) as staging:
        assert staging.journal.get("x") is None


def test_bad_input_and_empty_runs_leave_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with Staging(tmp_path / "out", PLAN) as staging:
            note(staging, "x", b"123")
            raise InputError("changed meanwhile")

    with pytest.raises(InputError):
        fail()
    assert not list(tmp_path.iterdir())
    with Staging(tmp_path / "out", PLAN):
        pass
    assert not list(tmp_path.iterdir())


def test_an_uncommitted_run_makes_no_output(tmp_path: Path) -> None:
    with Staging(tmp_path / "out", PLAN) as staging:
        note(staging, "x", b"1")
    assert [p.name for p in tmp_path.iterdir()] == [staging_root(tmp_path / "out", PLAN).name]


def test_a_folder_does_not_replace_a_file_nor_a_file_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with Staging(tmp_path / "file", PLAN, overwrite=True) as staging:
        note(staging, "x", b"1")
        with pytest.raises(InputError, match="is a file"):
            staging.commit()
    (tmp_path / "folder").mkdir()
    with Staging(tmp_path / "folder", PLAN) as staging:
        note(staging, "x", b"1")
        with pytest.raises(InputError, match="is a folder"):
            staging.commit_file("x")


def test_litter_of_a_dead_run_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    root = staging_root(tmp_path / "out", PLAN)
    (root / "files").mkdir(parents=True)
    (root / "files" / "junk").write_text("no journal: whose is it?")
    (tmp_path / "out.partial-mine").mkdir()
    (tmp_path / "out.lock").write_text("123\n")
    with Staging(tmp_path / "out", PLAN) as staging:
        assert not list(staging.folder.iterdir())
    assert [p.name for p in tmp_path.iterdir()] == ["out.partial-mine"]


def unsynced(path: Path, raw: bytes) -> None:
    """A file written through the shim, and left to the commit to sync."""
    fd = disk.create(path)
    disk.pwrite(fd, raw, 0, path)
    disk.close(fd)


@pytest.mark.parametrize("lost", [ALL, frozenset({"data"})], ids=["all", "data"])
def test_a_commit_syncs_what_its_user_did_not(tmp_path: Path, lost: frozenset[str]) -> None:
    def work(out: Path) -> None:
        with Staging(out, PLAN) as staging:
            for name in ("x", "sub/y"):
                disk.make_folder((staging.folder / name).parent)
                unsynced(staging.folder / name, b"0123456789")
            staging.commit({"schema_version": 1})

    for at in range(100):
        out = tmp_path / str(at) / "out"
        out.parent.mkdir()
        if not power_cut_at(at, lambda out=out: work(out), lost=lost):  # type: ignore[misc]
            assert at > 20
            return
        if (out / manifests.MANIFEST_NAME).exists():
            assert manifests.read_manifest(out) == {"schema_version": 1}
            assert (out / "x").read_bytes() == (out / "sub" / "y").read_bytes() == b"0123456789"
        else:
            assert not out.exists()


def write(out: Path, overwrite: bool) -> None:
    with Staging(out, PLAN, overwrite) as staging:
        for name in ("x", "y"):
            if staging.journal.get(name) is None:
                note(staging, name, name.encode() * 10)
        unsynced(staging.folder / "joined", b"x" * 10 + b"y" * 10)
        staging.commit_file("joined")


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("power", [False, True])
def test_a_single_file_survives_a_kill_anywhere(tmp_path: Path, old: bool, power: bool) -> None:
    for at in range(100):
        out = tmp_path / str(at) / "out"
        out.parent.mkdir()
        if old:
            out.write_bytes(b"old")
        stop = power_cut_at if power else killed_at
        if not stop(at, lambda out=out: write(out, old)):  # type: ignore[misc]
            assert at > 20
            return
        assert not out.exists() or out.read_bytes() in (b"old", b"x" * 10 + b"y" * 10)
        if old or not out.exists():
            write(out, old)
        assert out.read_bytes() == b"x" * 10 + b"y" * 10


def test_a_planted_symlink_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "f").write_text("precious")
    staging_root(tmp_path / "out", PLAN).symlink_to(tmp_path / "victim")
    with pytest.raises(UnsafeError, match="symlink"), Staging(tmp_path / "out", PLAN):
        pass
    assert (tmp_path / "victim" / "f").read_text() == "precious"
    with Staging(tmp_path / "other", PLAN):
        disk.remove_tree(staging_root(tmp_path / "out", PLAN))
    assert (tmp_path / "victim" / "f").exists()


def test_what_is_done_survives_a_run_that_is_refused(tmp_path: Path) -> None:
    with Staging(tmp_path / "out", PLAN) as staging:
        note(staging, "x", b"1")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "in the way").write_text("x")
    with pytest.raises(InputError, match="not empty"), Staging(tmp_path / "out", PLAN):
        pass
    (tmp_path / "out" / "in the way").unlink()
    with Staging(tmp_path / "out", PLAN) as staging:
        assert staging.journal.get("x")


def test_relative_and_linked_outputs_are_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    with Staging(Path("link"), PLAN) as staging:
        note(staging, "x", b"1")
        staging.commit()
    assert (tmp_path / "real" / "x").exists()
    assert (tmp_path / "link").is_symlink()
    with pytest.raises(RecipeError):
        resolved("a\0b")


def test_apart() -> None:
    base = Path("/m/base")
    check_apart(Path("/m/out"), [base, Path("/m/baseline")])
    check_apart(Path("/m/basement"), [base])
    for out in ("/m/base", "/m/base/out", "/m"):
        with pytest.raises(InputError, match="input"):
            check_apart(Path(out), [base])


def test_a_mount_point_is_no_output(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: True)
    with pytest.raises(InputError, match="mount point"):
        check_output(tmp_path, overwrite=True)


def test_a_parent_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot create"), Staging(tmp_path / "file" / "out", PLAN):
        pass
