"""Segments of a delta file: journaled, read back, made by several processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.delta.difference import difference
from deltakit.delta.expression import total
from deltakit.delta.file.segments import Segments
from deltakit.delta.file.write import write_delta
from deltakit.errors import CheckpointError
from support.models import tiny_llama, tiny_tuned

PLAN = {"action": "test"}

# a process of the crew: it writes a delta, and may die behind its first tensor
CODE = """
import os, sys
from pathlib import Path
from deltakit.checkpoint.open import open_checkpoint
from deltakit.checkpoint.ranks import ranks
from deltakit.delta.difference import difference
from deltakit.delta.file import segments
from deltakit.delta.file.write import write_delta

base, tuned, crew, dies = open_checkpoint(sys.argv[1]), open_checkpoint(sys.argv[2]), ranks(), sys.argv[4]
if dies == str(crew.rank):
    segments._SECONDS, pack, calls = -1.0, segments.pack_tensor, []
    def fatal(*given):
        if calls:
            os._exit(9)
        calls.append(1)
        return pack(*given)
    segments.pack_tensor = fatal
plan = {"action": "test", "rank": crew.rank} if dies == "apart" else {"action": "test"}
made = write_delta(Path(sys.argv[3]), difference(base, tuned), plan=plan, threads=1, crew=crew)
print(crew.rank, made.resumed, made.nbytes)
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    base = tiny_llama(folder / "base", seed=1)
    return base, tiny_tuned(base, folder / "tuned", seed=2)


def written(models, out):
    base, tuned = map(open_checkpoint, models)
    write_delta(out, difference(base, tuned), plan=PLAN)
    return out.read_bytes()


def crew(world, models, out: Path, dies=""):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(world), "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [sys.executable, "-c", CODE, *map(str, models), str(out), dies],
            env={**os.environ, **place, "RANK": str(rank)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(world)
    ]  # fmt: skip


def finish(processes):
    return [p.communicate(timeout=240) for p in processes]


def test_several_processes_write_the_bytes_of_one_also_after_one_died(models, tmp_path):
    out = tmp_path / "crew"
    running = crew(2, models, out, dies="1")
    assert running[1].wait(timeout=240) == 9
    running[0].kill()  # as a launcher does
    finish(running)
    assert not out.exists()
    said = finish(crew(3, models, out))
    assert out.read_bytes() == written(models, tmp_path / "one")
    assert len({line.split(" ", 1)[1] for line, _ in said}) == 1
    assert int(said[0][0].split()[1]) > 0  # what the dead one had finished was taken over
    assert sorted(p.name for p in tmp_path.iterdir()) == ["crew", "one"]


def test_processes_that_plan_other_outputs_are_told(models, tmp_path):
    running = crew(2, models, tmp_path / "crew", dies="apart")
    assert running[1].wait(timeout=240) != 0
    running[0].kill()
    assert "plans another output" in finish(running)[1][1]


def test_what_is_finished_can_be_read_before_the_file_is_whole(models, tmp_path):
    base, tuned = map(open_checkpoint, models)
    delta = difference(base, tuned)
    seen = []

    def fill(segments: Segments) -> None:
        name = "model.embed_tokens.weight"
        assert name in segments.left(delta.specs)
        segments.pull([name], delta.entries.__getitem__)
        assert segments.left([name]) == []
        spec = delta.specs[name]
        bound = [p.term.bind(base, name) for p in segments.entry(name).parts]
        assert np.array_equal(
            bound[0].rows(0, spec.rows), total(delta.entries[name].parts, 0, spec.rows, spec.row_size)
        )
        seen.append(segments.nbytes)
        (segments.folder / segments.done[name].file).write_bytes(b"short")
        with pytest.raises(CheckpointError, match="the journal says"):
            segments.entry(name)
        del segments.done[name]
        segments.pull(reversed(list(delta.specs)), delta.entries.__getitem__)

    write_delta(tmp_path / "d", delta, plan=PLAN, fill=fill)
    assert seen[0] > 0
    assert (tmp_path / "d").read_bytes() == written(models, tmp_path / "one")


def test_what_is_said_of_a_tensor_is_journaled_and_no_part_of_the_file(tmp_path: Path) -> None:
    base = open_checkpoint(tiny_llama(tmp_path / "base"))
    delta = difference(base, open_checkpoint(tiny_tuned(tmp_path / "base", tmp_path / "tuned", seed=3)))
    heard: dict[str, object] = {}

    def talking(segments: Segments) -> None:
        segments.remark = lambda name: {"length": len(name)} if "proj" in name else None
        segments.pull(delta.specs, delta.entries.__getitem__)
        heard.update(segments.remarks)

    write_delta(tmp_path / "a", delta, plan=PLAN, fill=talking)
    write_delta(tmp_path / "b", delta, plan=PLAN)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert heard == {n: {"length": len(n)} for n in delta.specs if "proj" in n}
