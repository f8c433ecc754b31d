"""What a merge will read, write and hold in memory, from headers alone."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from deltakit.checkpoint.pump import cores
from deltakit.errors import ResourceError
from deltakit.merge.plan.load import Load

__all__ = ["Forecast", "available", "forecast", "memory_of", "require_memory"]

_RATE = 1e9  # bytes per second of reading and writing that the time is said for
_FIXED = 220 << 20  # the interpreter, libraries and kernels: twice the 95 to 105 MB of bench/results/merge_speed.md
_RANGE = 8 << 20  # bytes of float32 in one range of one model
_SPARE = 4  # ranges or matrices beside those of the models: base, sum, result, what is being written


@dataclass(frozen=True)
class Forecast:
    """Bytes read from the inputs (all passes), bytes written, anonymous memory at the peak (bytes), and seconds where
    the disk reads and writes 1 GB/s. Methods that look at text run a model besides, which is not in these numbers."""

    reads: int
    writes: int
    memory: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def forecast(loads: Sequence[Load], writes: int, threads: int = 0) -> Forecast:
    """The sum over all loads; memory is that of the greediest."""
    reads = sum(int(_passes(load) * load.models * sum(s.nbytes for s in load.specs)) for load in loads)
    return Forecast(reads, writes, memory_of(loads, threads), round((reads + writes) / _RATE, 1))


def memory_of(loads: Sequence[Load], threads: int = 0) -> int:
    """Anonymous memory at the peak (bytes), by the greediest load."""
    return _FIXED + max((_memory(load, threads or cores()) for load in loads), default=0)


def _passes(load: Load) -> float:
    return 1.0 if load.linear else _counted(load.name, load.dialect)


@functools.cache
def _counted(name: str, dialect: str) -> float:
    from deltakit.merge.plan.cost import cost_of  # it merges, and lies above what is planned here

    return cost_of(name, dialect) or 1.0


def _memory(load: Load, workers: int) -> int:
    """What the threads hold at once: ranges of every model, or one whole matrix of each where a method needs that."""
    held = load.models + _SPARE
    if not load.linear and load.method.matrices:
        largest = max((s.numel * 4 for s in load.specs if len(s.shape) > 1), default=0)
        return largest * held * 2  # singular vectors are as large as what they come from
    widest = max((s.row_size * 4 for s in load.specs), default=0)
    return workers * held * max(_RANGE, widest)


def available() -> int | None:
    """Bytes of memory that could be had now, None where the system does not say."""
    try:
        with open("/proc/meminfo") as file:
            found = {line.split(":")[0]: line.split()[1] for line in file}
        return int(found["MemAvailable"]) * 1024
    except (OSError, KeyError, IndexError, ValueError):
        return None


def require_memory(needed: int) -> None:
    """ResourceError where so many bytes are more than there is."""
    have = available()
    if have is not None and needed > have:
        raise ResourceError(
            f"this merge needs about {needed / 1e9:.1f} GB of memory, and {have / 1e9:.1f} GB are free",
            remedy="free memory, or take a method that works in ranges (deltakit explain METHOD says so)",
        )
