"""Run one command and measure it: wall, CPU, peak anonymous memory, and how busy everything else was meanwhile."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")


def busy() -> float:
    """CPU seconds that the whole machine was busy since it started."""
    with open("/proc/stat") as file:
        found = [int(x) for x in file.readline().split()[1:9]]
    return (sum(found) - found[3] - found[4]) / TICKS


def anonymous(pid: int) -> int:
    """Bytes of anonymous memory that a process holds; 0 once it is gone."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return next((int(line.split()[1]) << 10 for line in file if line.startswith("RssAnon")), 0)
    except OSError:
        return 0


def run(command: list[str], log: Path, env: dict[str, str] | None = None) -> dict[str, Any]:
    """Seconds of wall, user and sys, peak anonymous bytes (every 10 ms), cores that others used, last line."""
    os.sync()
    start, before, own = time.perf_counter(), busy(), time.process_time()
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})})
        peak = 0
        while True:
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            peak = max(peak, anonymous(process.pid))
            time.sleep(0.01)
    wall = time.perf_counter() - start
    mine = used.ru_utime + used.ru_stime + time.process_time() - own
    process.returncode = os.waitstatus_to_exitcode(status)
    lines = log.read_text().splitlines()
    return {
        "wall": wall, "user": used.ru_utime, "sys": used.ru_stime, "anonymous": peak, "code": process.returncode,
        "foreign": max(0.0, (busy() - before - mine) / wall), "last": lines[-1] if lines else "",
    }  # fmt: skip
