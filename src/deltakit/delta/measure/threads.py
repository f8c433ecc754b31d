"""Linear algebra with one BLAS thread, so that its bytes do not depend on how many there are (law 2)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["one_thread"]

_LOCK = threading.Lock()
_inside = 0
_before = 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes with one thread in here; parallel work goes over tensors instead. May be nested and shared by
    several Python threads: the number that was set before comes back when the last one leaves."""
    import torch

    global _inside, _before
    with _LOCK:
        if _inside == 0:
            _before = torch.get_num_threads()
        _inside += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            if _inside == 0:
                torch.set_num_threads(_before)
