"""`torchrun` starts one merge in several processes: they write one output, with the bytes of a single process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.models import tiny_llama, tiny_tuned


def test_torchrun_writes_what_one_process_writes(tmp_path: Path) -> None:
    base = tiny_llama(tmp_path / "base")
    models = [tiny_tuned(base, tmp_path / name, i) for i, name in enumerate(("math", "chat"), 1)]
    given = ["merge", "--base", base, *(x for m in models for x in ("--model", m)), "--method", "ties"]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    quiet = {**os.environ, "OMP_NUM_THREADS": "1"}
    alone = ["-m", "deltakit_cli", *map(str, given), "-o", str(tmp_path / "one")]
    crew = [*launch, "deltakit_cli", *map(str, given), "-o", str(tmp_path / "two")]
    subprocess.run([sys.executable, *alone], check=True, env=quiet)
    done = subprocess.run([sys.executable, *crew], check=True, env=quiet, capture_output=True, text=True, timeout=120)
    assert done.stdout.count("wrote the model") == 1  # the leader speaks
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("one", "two"))
    assert one == two


def test_several_processes_write_no_delta_file(tmp_path: Path) -> None:
    base = tiny_llama(tmp_path / "base")
    tuned = tiny_tuned(base, tmp_path / "math", 1)
    given = ["merge", "--base", base, "--model", tuned, "-o", tmp_path / "x.delta"]
    done = subprocess.run(
        [sys.executable, "-m", "deltakit_cli", *map(str, given)],
        env={**os.environ, "RANK": "0", "WORLD_SIZE": "2"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "one process" in done.stderr
