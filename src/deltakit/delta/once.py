"""What is made whole, once, when it is first asked for, and then served in ranges."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from deltakit.delta.terms.base import Float32

__all__ = ["Once", "Whole"]

T = TypeVar("T")

_KEPT = 2  # tensors: one for each thread that a merge pulls with on a small machine; each is computed once all the same


@dataclass(frozen=True)
class Once(Generic[T]):
    """What `compute(name)` makes, made once when it is first asked for; the last few are kept."""

    compute: Callable[[str], T]
    kept: int = _KEPT
    _made: OrderedDict[str, T] = field(default_factory=OrderedDict, repr=False)
    _locks: dict[str, threading.Lock] = field(default_factory=dict, repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def of(self, name: str) -> T:
        """Two threads at one name wait for one computation."""
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            with self._guard:
                if name in self._made:
                    self._made.move_to_end(name)
                    return self._made[name]
            found = self.compute(name)
            with self._guard:
                self._made[name] = found
                while len(self._made) > self.kept:
                    self._made.popitem(last=False)
            return found


class Whole(Once[Float32]):
    """A pull whose tensors are made whole by `compute(name) -> (rows, row_size)`."""

    def pull(self, name: str, lo: int, hi: int) -> Float32:
        """Rows lo..hi."""
        return self.of(name)[lo:hi]
