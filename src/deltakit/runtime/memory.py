"""Whether an exception means that memory ran out: torch says so in its own type on a GPU, in words on a CPU."""

from __future__ import annotations

__all__ = ["ran_out"]

_WORDS = ("not enough memory", "out of memory", "can't allocate memory", "DefaultCPUAllocator")


def ran_out(error: BaseException) -> bool:
    """True for a MemoryError, torch.OutOfMemoryError, and a RuntimeError whose text is an allocator's."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)
