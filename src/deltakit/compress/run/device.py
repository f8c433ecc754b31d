"""Memory that is not enough, on a device or off it: said in words, with what would help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from deltakit.errors import RecipeError, ResourceError

__all__ = ["SMALLER", "check_device", "room_on"]

SMALLER = "give a smaller --batch, --samples or --length"

_CPU = "use fewer --threads, or a machine with more memory"
_GPU = "run on the CPU (--device cpu), or with fewer --threads"


def check_device(device: str) -> None:
    """RecipeError for what is no device, ResourceError for one that is not here."""
    if device == "cpu":
        return
    kind, _, number = device.partition(":")
    if kind != "cuda" or (number and not number.isdecimal()):
        raise RecipeError(f"device {device!r} is not known", remedy="use cpu, cuda, or cuda:1 for the second one")
    import torch

    if int(number or 0) >= torch.cuda.device_count():
        raise ResourceError(f"there is no device {device} here", remedy="use --device cpu")


@contextmanager
def room_on(device: str, what: str, need: str = "", remedy: str = "") -> Iterator[None]:
    """Within the block, running out of memory is a ResourceError that says what was at work and what it needs."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        from deltakit.runtime.memory import ran_out

        if not ran_out(error):
            raise
        raise ResourceError(
            f"out of memory on {device} while {what}{need and ': '}{need}",
            remedy=remedy or (_CPU if device == "cpu" else _GPU),
        ) from error
