"""Several processes write one checkpoint: the bytes of a single one, also after a kill."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support.models import save
from support.tensors import tensor

# a process of the crew: it writes a copy of a model, and may die behind its first tensor
CODE = """
import os, sys
from pathlib import Path
from deltakit.checkpoint import together, write
from deltakit.checkpoint.job import prepare
from deltakit.checkpoint.open import open_checkpoint
from deltakit.checkpoint.ranks import ranks

source, out, dies = open_checkpoint(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
crew = ranks()
if dies == str(crew.rank):
    copy, calls = write._copy, []
    def fatal(*given):
        if calls:
            os._exit(9)
        calls.append(1)
        write._BATCH = 1
        return copy(*given)
    write._copy = fatal
named = {"action": "copy", "rank": crew.rank} if dies == "apart" else {"action": "copy"}
job = prepare(source, out, source.sidecar, named)
if crew.world == 1:
    write.write_checkpoint(source, out, sidecar=source.sidecar, manifest={"action": "copy"}, threads=1)
else:
    made = together.write_together(job, crew, threads=1)
    print(crew.rank, made.resumed, made.fingerprint)
"""


def crew(world: int, source: Path, out: Path, dies: str = "") -> list[subprocess.Popen[str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(world), "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [sys.executable, "-c", CODE, str(source), str(out), dies],
            env={**os.environ, **place, "RANK": str(rank)}, stdout=subprocess.PIPE, text=True,
        )
        for rank in range(world)
    ]  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """A process's exit code and what it said."""
    said, _ = process.communicate(timeout=60)
    return process.returncode, said.split()


def content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    tensors = {f"t{i}": tensor(rng.standard_normal((40, 30)).astype(np.float32)) for i in range(12)}
    save(tmp_path / "model" / "model.safetensors", tensors)
    (tmp_path / "model" / "config.json").write_text("{}")
    return tmp_path / "model"


def test_two_processes_write_the_bytes_of_one(model: Path, tmp_path: Path) -> None:
    assert [ended(p) for p in crew(1, model, tmp_path / "one")] == [(0, [])]
    (first, said), (second, answered) = [ended(p) for p in crew(2, model, tmp_path / "two")]
    assert (first, second) == (0, 0)
    assert content(tmp_path / "two") == content(tmp_path / "one")
    assert (said[0], answered[0], said[2]) == ("0", "1", answered[2])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "one", "two"]


def test_a_killed_crew_goes_on_with_another_number(model: Path, tmp_path: Path) -> None:
    leader, other = crew(2, model, tmp_path / "out", dies="1")
    assert ended(other)[0] == 9
    leader.kill()  # as a launcher does
    ended(leader)
    assert not (tmp_path / "out").exists()
    again = [ended(p) for p in crew(3, model, tmp_path / "out")]
    assert [code for code, _ in again] == [0, 0, 0]
    assert int(again[0][1][1]) >= 1  # resumed
    assert [ended(p)[0] for p in crew(1, model, tmp_path / "one")] == [0]
    assert content(tmp_path / "out") == content(tmp_path / "one")


def test_processes_that_plan_different_outputs_do_not_wait_for_each_other(model: Path, tmp_path: Path) -> None:
    leader, other = crew(2, model, tmp_path / "out", dies="apart")
    assert ended(other)[0] == 1
    leader.kill()
    ended(leader)
    assert not (tmp_path / "out").exists()
