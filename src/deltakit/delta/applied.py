"""base + delta as a TensorMap: a model that is computed, range by range, while something reads it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.expression import Delta, Entry
from deltakit.delta.terms.base import Float32, base_floats
from deltakit.errors import MismatchError
from deltakit.tensors import TensorMap, TensorSpec, as_bytes, cast_bytes, from_float32

__all__ = ["Applied"]

_LARGE = 1 << 17  # elements from which compiled loops are worth loading


class Applied:
    """The fine-tune's tensors: its shapes, dtypes and added rows. Sums start from the base, in float32, with one
    rounding at the end; a lone exact term of coefficient 1 gives the tuned bits, no terms at all the base's."""

    def __init__(self, base: TensorMap, delta: Delta) -> None:
        self.base, self.delta = base, delta.bind(base)
        self._check()

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        return self.delta.specs

    @property
    def sidecar(self) -> Sidecar:
        """The fine-tune's files over the base's."""
        base: Sidecar = getattr(self.base, "sidecar", Sidecar({}))
        return Sidecar({**base.files, **self.delta.sidecar.files})

    @property
    def order(self) -> tuple[str, ...]:
        """The order of pulling: as the base lies on disk, what it lacks at the end."""
        first = [n for n in getattr(self.base, "order", ()) if n in self.specs]
        return (*first, *sorted(self.specs.keys() - set(first)))

    def prefetch(self, name: str) -> None:
        """Pass the hint on to the base."""
        ahead = getattr(self.base, "prefetch", None)
        if ahead is not None and name in self.base.specs:
            ahead(name)

    def buffer(self, name: str, lo: int = 0, hi: int | None = None) -> memoryview:
        """Rows lo..hi in the tuned dtype."""
        entry = self.delta.entries[name]
        hi = entry.spec.rows if hi is None else hi
        if hi <= entry.shared:
            return self._shared(name, entry, lo, hi)
        added = _added(entry, max(lo, entry.shared) - entry.shared, hi - entry.shared)
        if lo >= entry.shared:
            return added
        return memoryview(bytes(self._shared(name, entry, lo, entry.shared)) + bytes(added))

    def _shared(self, name: str, entry: Entry, lo: int, hi: int) -> memoryview:
        have = self.base.specs[name].rows if name in self.base.specs else 0
        if entry.shared > have:
            raise MismatchError(
                f"the delta does not fit this base: it changes {entry.shared} rows of {name!r}, which has {have}",
                remedy="name the base it was made against",
            )
        if entry.bits is not None:
            return entry.bits(lo, hi)
        if not entry.parts:
            return cast_bytes(self.base.buffer(name, lo, hi), self.base.specs[name].dtype, entry.spec.dtype)
        if entry.spec.dtype == self.base.specs[name].dtype == "BF16" and (hi - lo) * entry.spec.row_size >= _LARGE:
            return _add16(self.base.buffer(name, lo, hi), self.delta.rows(name, lo, hi))
        values = base_floats(self.base, name, lo, hi, entry.spec.dtype)
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is counted and refused by the writer
            rows = self.delta.rows(name, lo, hi)
            np.add(values, rows, out=values, where=rows != 0)  # -0.0 + 0.0 is 0.0: a zero delta must not flip a bit
        return as_bytes(from_float32(values, entry.spec.dtype))

    def _check(self) -> None:
        """Every shared tensor must be in the base, with enough rows of the right size."""
        problems = []
        for name, spec in self.delta.specs.items():
            found = self.base.specs.get(name)
            if found is not None and (found.shape[1:] != spec.shape[1:] or len(found.shape) != len(spec.shape)):
                problems.append(f"{name}: base {list(found.shape)}, delta {list(spec.shape)}")
        if problems:
            raise MismatchError(
                "the delta does not fit this base", remedy="name the base it was made against", details=problems
            )


def _add16(base: memoryview, rows: Float32) -> memoryview:
    """`_shared` of bfloat16 over bfloat16, compiled."""
    from deltakit.delta.coding.kernels.added import add16

    out = np.empty(rows.size, "<u2")
    if memoryview(base).nbytes != out.nbytes:  # a kernel would read on
        raise MismatchError(f"the base gives {memoryview(base).nbytes} bytes of a tensor where {out.nbytes} belong")
    add16(out, np.uint64(np.frombuffer(base, np.uint8).ctypes.data), rows.ravel())
    return as_bytes(out)


def _added(entry: Entry, lo: int, hi: int) -> memoryview:
    bits = getattr(entry.added, "bits", None)
    if bits is not None:
        found: memoryview = bits(lo, hi)
        return found
    if entry.added is None:
        raise MismatchError("a delta lacks rows that its shape promises", remedy="extract the delta again")
    return as_bytes(from_float32(entry.added.rows(lo, hi), entry.spec.dtype))
