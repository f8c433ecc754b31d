"""Memory that is not enough, on a device or off it: said in words, with what would help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from deltakit.errors import ResourceError

__all__ = ["SMALLER", "room_on"]

SMALLER = "give a smaller --batch, --samples or --length"

_CPU = "use fewer --threads, or a machine with more memory"
_GPU = "run on the CPU (--device cpu), or with fewer --threads"


@contextmanager
def room_on(device: str, what: str, need: str = "", remedy: str = "") -> Iterator[None]:
    """Within the block, running out of memory is a ResourceError that says what was at work and what it needs."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_memory(error):
            raise
        raise ResourceError(
            f"out of memory on {device} while {what}{need and ': '}{need}",
            remedy=remedy or (_CPU if device == "cpu" else _GPU),
        ) from error


def _is_memory(error: BaseException) -> bool:
    """torch says so in its own type on a GPU, and in words on a CPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return any(words in str(error) for words in ("not enough memory", "out of memory", "DefaultCPUAllocator"))
