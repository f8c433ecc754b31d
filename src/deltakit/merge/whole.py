"""Methods that need a whole tensor at once: computed once when it is first asked for, then served in ranges."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from deltakit.delta.terms.base import Float32
from deltakit.sparsify.flow import Pull
from deltakit.tensors import TensorSpec

__all__ = ["Whole", "pull_whole"]

_KEPT = 2  # tensors: one for each thread that a merge pulls with on a small machine; each is computed once all the same


@dataclass(frozen=True)
class Whole:
    """A pull whose tensors are made whole by `compute(name) -> (rows, row_size)`; the last few are kept."""

    compute: Callable[[str], Float32]
    kept: int = _KEPT
    _made: OrderedDict[str, Float32] = field(default_factory=OrderedDict, repr=False)
    _locks: dict[str, threading.Lock] = field(default_factory=dict, repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def pull(self, name: str, lo: int, hi: int) -> Float32:
        """Rows lo..hi; two threads at one tensor wait for one computation."""
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            found = self._kept(name)
            if found is None:
                found = self.compute(name)
                self._keep(name, found)
        return found[lo:hi]

    def _kept(self, name: str) -> Float32 | None:
        with self._guard:
            found = self._made.get(name)
            if found is not None:
                self._made.move_to_end(name)
            return found

    def _keep(self, name: str, values: Float32) -> None:
        with self._guard:
            self._made[name] = values
            while len(self._made) > self.kept:
                self._made.popitem(last=False)


def pull_whole(pull: Pull, specs: Mapping[str, TensorSpec], name: str) -> Float32:
    """All rows of a tensor, (rows, row_size) float32."""
    return np.ascontiguousarray(pull(name, 0, specs[name].rows))
