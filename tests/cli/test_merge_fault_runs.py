"""Merging, fault by fault (3 of 4): what happens to a run, on the disk and from outside."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from deltakit.checkpoint import write as writer
from deltakit.checkpoint.lock import Lock
from deltakit.merge.plan import forecast
from support.cli import call
from support.faults import ALL, broken, faulty, full_disk, killed_at, power_cut_at
from support.merge_world import WAYS, family, files, merged, refused, way


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return family(tmp_path_factory.mktemp("runs"))


@pytest.fixture(autouse=True)
def no_real_sync() -> Iterator[None]:
    with faulty():
        yield


@pytest.fixture
def step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every tensor is written and noted by itself, in one thread."""
    monkeypatch.setattr(writer, "_BATCH", 1)
    monkeypatch.setattr(import_module("deltakit.checkpoint.pump"), "cores", lambda: 1)


def before(out: Path, old: bool) -> dict[str, bytes]:
    """A fresh output path, with an older output in it or not."""
    shutil.rmtree(out.parent, ignore_errors=True)
    out.parent.mkdir()
    if old:
        shutil.copytree(out.parent.with_name("old"), out)
    return files(out) if old else {}


@pytest.mark.parametrize("kind", WAYS)
def test_a_disk_too_small_is_found_out_when_planning(
    world: Path, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 10**6 - 999, 999))
    for more in ([], ["--dry-run"]):
        refused(call(*way(world, kind), "-o", tmp_path / "out", *more), 5, "not enough disk", "999 free", "hint")
    assert list(tmp_path.iterdir()) == []


def every(kind: str, old: bool, step: int) -> Any:
    return pytest.param(kind, old, step, id=f"{kind}{' over an old output' if old else ''}")


# Every operation of a plain merge, every seventh of a config's over an old output: one code writes both, and
# tests/checkpoint/test_write.py goes through all of it.
PLACES = [every("sum", False, 1), every("slices", True, 7)]


@pytest.fixture
def older(world: Path, tmp_path: Path) -> None:  # another merge, that may stand where the new one goes
    merged([*way(world, "sum"), "--lambda", 0.5], tmp_path / "old")


@pytest.mark.usefixtures("step_by_step", "older")
@pytest.mark.parametrize("fault", [full_disk, broken], ids=["ENOSPC", "EIO"])
@pytest.mark.parametrize(("kind", "old", "step"), PLACES)
def test_enospc_or_eio_at_write_n_for_every_n(
    world: Path, kind: str, old: bool, step: int, fault: Callable[[int], Callable[[str, int], None]], tmp_path: Path
) -> None:
    """The old output stays, finished tensors are kept, the same command resumes to the same bytes."""
    words, out = way(world, kind), tmp_path / "case" / "out"
    merged(words, tmp_path / "expected")
    expected, at, resumed = files(tmp_path / "expected"), 0, 0
    while True:
        was = before(out, old)
        with faulty(fault(at)) as shim:
            done = call(*words, "-o", out, "--overwrite")
        if done.code == 0 and at >= len(shim.calls):
            break
        if done.code:
            refused(done, 5, "hint")
            assert files(out) in (was, expected), f"operation {at}"
            resumed += merged(words, out, "--overwrite")["resumed"] > 0
        assert files(out) == expected, f"operation {at}"
        assert [p.name for p in out.parent.iterdir()] == ["out"], f"operation {at}"
        at += step
    assert at > 40
    assert resumed > 2


@pytest.mark.usefixtures("step_by_step", "older")
@pytest.mark.parametrize(("kind", "old", "step"), PLACES)
def test_kill_9_at_every_write_fsync_or_rename(world: Path, kind: str, old: bool, step: int, tmp_path: Path) -> None:
    """The old output or the new one; the next run resumes and cleans up its own litter only."""
    words, out = way(world, kind), tmp_path / "case" / "out"
    merged(words, tmp_path / "expected")
    expected, at, resumed, killed = files(tmp_path / "expected"), 0, 0, True
    while killed:
        was = before(out, old)
        (out.parent / "out.partial-of-mine").mkdir()
        killed = killed_at(at, lambda: call(*words, "-o", out, "--overwrite"))
        assert files(out) in (was, expected), f"operation {at}"
        resumed += merged(words, out, "--overwrite")["resumed"] > 0
        assert files(out) == expected, f"operation {at}"
        assert sorted(p.name for p in out.parent.iterdir()) == ["out", "out.partial-of-mine"], f"operation {at}"
        at += step
    assert at > 40
    assert resumed > 2


@pytest.mark.usefixtures("step_by_step", "older")
@pytest.mark.parametrize(
    ("kind", "old", "step", "lost"),
    [("sum", False, 1, ALL), ("sum", True, 5, frozenset({"data"})), ("slices", True, 7, ALL)],
    ids=["all is lost", "data comes later than names", "all is lost over an old output"],
)
def test_a_power_cut_loses_or_reorders_unsynced_writes(
    world: Path, kind: str, old: bool, step: int, lost: frozenset[str], tmp_path: Path
) -> None:
    """Where the manifest is, every byte is."""
    words, out = way(world, kind), tmp_path / "case" / "out"
    merged(words, tmp_path / "expected")
    expected, at, cut = files(tmp_path / "expected"), 0, True
    while cut:
        was = before(out, old)
        cut = power_cut_at(at, lambda: call(*words, "-o", out, "--overwrite"), lost=lost)
        assert files(out) in (was, expected), f"operation {at}"
        at += step
    assert at > 40


SLOW = """
import sys, time
from deltakit.checkpoint import write as writer
from deltakit.tensors import Mapped
from deltakit.merge import write as merging
from deltakit_cli.main import main
writer._BATCH = 1
real = merging.prepare
def prepare(source, *args, **more):
    def pull(name, lo, hi):
        raw = source.buffer(name, lo, hi)
        sys.stdout.write(f"{name}\\n")  # in one write: two threads are at it
        sys.stdout.flush()
        time.sleep(0.1)
        return raw
    return real(Mapped(source.specs, pull), *args, **more)
merging.prepare = prepare
main(sys.argv[1:])
"""


def started(words: list[object], out: Path) -> subprocess.Popen[str]:
    """A merge in a process of its own that has written some tensors."""
    argv = [sys.executable, "-c", SLOW, *map(str, words), "-o", str(out), "--format", "json"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(5):
        assert process.stdout.readline().endswith("weight\n")
    return process


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_sigint_sigterm_and_a_real_kill_9(world: Path, kind: signal.Signals, tmp_path: Path) -> None:
    """130, what is done is kept, the command that resumes is printed; a killed run resumes as well."""
    words, out = way(world, "slices"), tmp_path / "out"
    with started(words, out) as process:
        process.send_signal(kind)
        _, err = process.communicate(timeout=60)
    if kind is signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130, err
        assert f"run it again to resume: deltakit merge {words[1]} -o {out}" in err
    assert not out.exists()
    assert len([p for p in tmp_path.iterdir() if p.name.startswith("out.partial-")]) == 1
    assert merged(words, out)["resumed"] > 0
    merged(words, tmp_path / "expected")
    assert files(out) == files(tmp_path / "expected")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["expected", "out"]


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_sigint_is_immediate(world: Path, second: signal.Signals, tmp_path: Path) -> None:
    busy = SLOW.replace("time.sleep(0.1)", "time.sleep(20)")  # a thread that will not be done soon
    argv = [sys.executable, "-c", busy, *map(str, way(world, "sum")), "-o", str(tmp_path / "out")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)  # it waits for its threads, so that what they do is kept
        process.send_signal(second)
        assert process.wait(5) == 130
    merged(way(world, "sum"), tmp_path / "out")


@pytest.mark.parametrize("kind", ["sum", "slices"])
def test_an_output_that_is_in_the_way(world: Path, kind: str, tmp_path: Path) -> None:
    """Not empty, a file, inside an input, an input itself: 3, and nothing is touched, with --overwrite either."""
    words = way(world, kind)
    (tmp_path / "full").mkdir()
    for mine in ("full/thesis.txt", "file"):
        (tmp_path / mine).write_text("mine")
    (tmp_path / "link").symlink_to(world / "math")
    inputs = {n: files(world / n) for n in ("base", "math", "chat")}
    for out, word in [
        (tmp_path / "full", "not"), (tmp_path / "file", "file"), (tmp_path / "file" / "below", "file"),
        (world / "math", "input"), (world / "math" / "deep" / "er", "inside"), (world, "holds the input"),
        (tmp_path / "link", "input"),
    ]:  # fmt: skip
        for more in ([], ["--overwrite"], ["--dry-run"]):
            if not (more == ["--dry-run"] and word == "file"):
                refused(call(*words, "-o", out, *more), 3, word, "hint")
    assert files(tmp_path / "full") == {"thesis.txt": b"mine"}
    assert (tmp_path / "file").read_text() == "mine"
    assert {n: files(world / n) for n in inputs} == inputs


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_an_output_that_is_read_only(world: Path, code: int, tmp_path: Path) -> None:
    with faulty(broken(0, code, only="open")):
        refused(call(*way(world, "sum"), "-o", tmp_path / "out"), 3, "cannot create", "choose an output")
    assert not (tmp_path / "out").exists()


def test_the_same_model_given_twice(world: Path, tmp_path: Path) -> None:
    refused(call(*way(world, "sum", chat=world / "math"), "-o", tmp_path / "out"), 2, "are the same")


@pytest.mark.parametrize(
    ("operation", "code"),
    [("rename", errno.ENOSYS), ("rename", errno.EXDEV), ("fsync", errno.EINVAL), ("fsync", errno.ENOTSUP)],
)
@pytest.mark.parametrize("kind", ["sum", "slices"])
def test_a_filesystem_without_rename_or_fsync(
    world: Path, kind: str, operation: str, code: int, tmp_path: Path
) -> None:
    """A clear 5, and no output. (There is no --no-atomic: an output that may be half is never made.)"""
    with faulty(broken(0, code, only=operation)):
        refused(
            call(*way(world, kind), "-o", tmp_path / "out"),
            5,
            "cannot",
            str(tmp_path),
            "mount" if code == errno.EXDEV else "local disk",
        )
    assert not (tmp_path / "out").exists()


def test_umask_022_and_an_existing_mode_0640(world: Path, tmp_path: Path) -> None:
    """Files 0644; modes that a person gave are kept on overwrite."""
    out, was = tmp_path / "out", os.umask(0o022)
    try:
        merged(way(world, "sum"), out)
        assert {stat.S_IMODE(p.stat().st_mode) for p in out.iterdir()} == {0o644}
        (out / "model.safetensors").chmod(0o640)
        merged(way(world, "slices"), out, "--overwrite")
        assert stat.S_IMODE((out / "model.safetensors").stat().st_mode) == 0o640
        assert stat.S_IMODE((out / "config.json").stat().st_mode) == 0o644
    finally:
        os.umask(was)


@pytest.mark.parametrize("kind", ["sum", "slices"])
def test_two_runs_of_one_output_and_a_stale_lock(world: Path, kind: str, tmp_path: Path) -> None:
    """The second ends with 3; the lock of a dead process holds nobody up."""
    first = Lock(tmp_path / "out")
    first.take()
    refused(call(*way(world, kind), "-o", tmp_path / "out"), 3, "another run", str(os.getpid()))
    first.release()
    (tmp_path / "out.lock").write_text("4194305\n")
    merged(way(world, kind), tmp_path / "out")
    assert not (tmp_path / "out.lock").exists()


def test_a_forecast_too_big_for_the_machine(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """5 before anything is written. (tests/merge/test_forecast.py runs a merge under a cap of its forecast x 1.3.)"""
    monkeypatch.setattr(forecast, "available", lambda: 100 << 20)
    for kind in ("sum", "tsv_m", "slices"):
        refused(call(*way(world, kind), "-o", tmp_path / "out"), 5, "GB of memory", "free", "hint")
    assert list(tmp_path.iterdir()) == []
