"""Compressing, fault by fault (3 of 3): archives that are damaged, strange or dangerous, and runs that are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deltakit.delta.file import segments
from deltakit.delta.file.container import open_archive, pack_header
from support.cli import Called, call
from support.faults import killed_at
from support.merge_world import refused
from support.models import tiny_llama, tiny_tuned

UP = "model.layers.0.mlp.up_proj.weight"


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """base, math and math.archive in a fresh folder."""
    base = tiny_llama(tmp_path / "base", seed=1, layers=1)
    tiny_tuned(base, tmp_path / "math", seed=2)
    made = call("compress", base, tmp_path / "math", "--ratio", 8, "-o", tmp_path / "math.archive")
    assert made.code == 0, made.err
    return tmp_path


def uses(world: Path, base: str = "base") -> list[Called]:
    """Everything that reads an archive."""
    model, archive = world / base, world / "math.archive"
    return [
        call("apply", model, archive, "-o", world / "made"),
        call("compress", model, archive, "--ratio", 16, "-o", world / "made"),
        call("export", model, archive, "--to", "hf", "-o", world / "made"),
        call("merge", "--base", model, "--model", archive, "-o", world / "made"),
        call("generate", f"{model} + {archive}", "--prompt", "a", "--max-new-tokens", 1),
    ]


def rewritten(world: Path, change: object) -> None:
    """The archive with its index changed by `change(index)`, everything else as it was."""
    archive = open_archive(world / "math.archive")
    index = dict(archive.index)
    size = int.from_bytes(archive.data[16:24], "little") + 40
    tail = bytes(archive.data[size:])
    change(index)  # type: ignore[operator]
    (world / "math.archive").write_bytes(pack_header(index) + tail)


def test_another_base(world: Path) -> None:
    tiny_llama(world / "other", seed=9, layers=1)
    for done in uses(world, "other"):
        refused(done, 3, "another base", "hint")
    assert not (world / "made").exists()


def test_a_damaged_tensor_is_named(world: Path) -> None:
    start, stop = open_archive(world / "math.archive").places[UP]
    raw = bytearray((world / "math.archive").read_bytes())
    raw[(start + stop) // 2] ^= 16
    (world / "math.archive").write_bytes(bytes(raw))
    for done in uses(world):
        refused(done, 3, UP, "damaged", "hint")
    done = call("verify", world / "math.archive")
    assert done.code == 6
    assert UP in done.out + done.err
    assert not (world / "made").exists()


@pytest.mark.parametrize("keep", [0, 5, 20, 39, 60, -1, -500])
def test_a_truncated_archive(world: Path, keep: int) -> None:
    raw = (world / "math.archive").read_bytes()
    (world / "math.archive").write_bytes(raw[:keep])
    for words in (("apply", world / "base", world / "math.archive", "-o", world / "made"),
                  ("inspect", world / "math.archive")):  # fmt: skip
        refused(call(*words), 3, "math.archive", "hint")
    assert not (world / "made").exists()


def test_a_future_version(world: Path) -> None:
    raw = bytearray((world / "math.archive").read_bytes())
    raw[8:12] = (2).to_bytes(4, "little")
    (world / "math.archive").write_bytes(bytes(raw))
    for done in uses(world):
        refused(done, 3, "math.archive", "format 2", "hint")


@pytest.mark.parametrize("shape", [[1 << 39, 2], [64, 31], [-1, 32], [64, 32, 0]])
def test_shapes_that_lie(world: Path, shape: list[int]) -> None:
    """Refused before anything of that size is allocated."""
    rewritten(world, lambda index: index["tensors"][UP].update(s=shape))
    for done in uses(world)[:3]:
        refused(done, 3, "hint")
    assert not (world / "made").exists()


def test_a_bomb(world: Path) -> None:
    """A head that promises an index of terabytes, and files inside that unpack to gigabytes."""
    raw = bytearray((world / "math.archive").read_bytes())
    raw[24:32] = (1 << 42).to_bytes(8, "little")
    (world / "bomb").write_bytes(bytes(raw))
    refused(call("inspect", world / "bomb"), 3, "bomb", "hint")
    rewritten(world, lambda index: index.update(files={"config.json": [10, 1 << 40, "0" * 16]}))
    refused(call("apply", world / "base", world / "math.archive", "-o", world / "made"), 3, "math.archive", "hint")


SLOW = """
import os, sys, time
from deltakit.delta.file.segments import Segments
from deltakit_cli.main import main
real, count = Segments.write, [0]
def write(self, name, entry):
    record = real(self, name, entry)
    self._journal.extend([record])  # as a slow run would have it by now
    count[0] += 1
    if count[0] == 5:
        os.write(1, b"busy\\n")
        time.sleep(30)
    return record
Segments.write = write
main(sys.argv[1:])
"""


def goes_on(world: Path, argv: list[str]) -> None:
    """The same command again ends in the bytes of a run that was left alone, and clears away."""
    assert not (world / "killed").exists()
    assert call(*argv, world / "straight").code == 0
    done = call(*argv, world / "killed", "--format", "json")
    assert done.code == 0, done.err
    assert done.json["resumed"] >= 4
    assert (world / "killed").read_bytes() == (world / "straight").read_bytes()
    assert not list(world.glob("*.partial-*"))


def test_a_process_that_is_killed_goes_on_to_the_same_bytes(world: Path) -> None:
    argv = ["compress", str(world / "base"), str(world / "math"), "--ratio", "8", "--threads", "1", "-o"]
    command = [sys.executable, "-c", SLOW, *argv, str(world / "killed")]
    quiet = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=quiet) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"busy\n"
        process.send_signal(signal.SIGKILL)
    goes_on(world, argv)


def test_a_calibrated_run_that_dies_goes_on_to_the_same_bytes(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    argv = ["compress", str(world / "base"), str(world / "math"), "--ratio", "8", "--threads", "1"]
    argv += ["--calibrate", "builtin", "--samples", "2", "--length", "16", "-o"]
    monkeypatch.setattr(segments, "_SECONDS", -1.0)  # every segment is journaled, as in a slow run
    assert killed_at(55, lambda: call(*argv, world / "killed"))
    goes_on(world, argv)
