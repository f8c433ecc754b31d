"""The few elements that changed: where, and by how much. What reinforcement learning leaves of a bf16 model.

Layout: u32 rows per chunk, u32 chunk lengths, chunks. A chunk is u32 changed elements, u32 bytes of gaps, gaps, steps:
byte planes (planes.py) of rows of one element. A gap (u32) is the number of unchanged elements before a changed one,
along the flattened chunk; a step is zigzag(tuned bits - base bits) - 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.coding.planes import Planes, Unsigned, check_chunk, encode, unzigzag, zigzag
from deltakit.delta.terms.tied import Tied, base_bits, tuned_bits
from deltakit.errors import CheckpointError
from deltakit.tensors import TensorMap, TensorSpec, as_bytes, numpy_bits

__all__ = ["Changes"]

_CHUNK = 1 << 22  # elements; few of them changed, and each chunk has some 60 bytes of its own
_AGAIN = "fetch the file again"


@dataclass(frozen=True)
class Changes(Tied):
    """The changed elements of any dtype, in order, as gaps and steps."""

    kind: ClassVar[str] = "changes"

    @classmethod
    def of(cls, base: TensorMap, tuned: TensorMap, name: str, spec: TensorSpec) -> Changes:
        """Code the shared rows of one tensor; `spec` has their shape and the tuned dtype."""

        def chunk(lo: int, hi: int) -> bytes:
            codes = zigzag(tuned_bits(tuned, name, lo, hi) - base_bits(base, name, lo, hi, spec.dtype))
            where = np.flatnonzero(codes)
            gaps, steps = _planes((np.diff(where, prepend=-1) - 1).astype("<u4")), codes[where]
            return np.array([where.size, len(gaps)], "<u4").tobytes() + gaps + _planes(steps - steps.dtype.type(1))

        step = max(1, _CHUNK // max(1, spec.row_size))
        chunks = [chunk(lo, min(lo + step, spec.rows)) for lo in range(0, spec.rows, step)]
        head = np.array([step, *map(len, chunks)], "<u4").tobytes()
        return cls(spec, memoryview(head + b"".join(chunks)), base, name)

    def bits(self, lo: int, hi: int) -> memoryview:
        out = base_bits(self.bound, self.name, lo, hi, self.spec.dtype).copy()
        step, bounds = self._table()
        width = self.spec.row_size
        for chunk in range(lo // step, math.ceil(hi / step)) if hi > lo else ():
            first, last = chunk * step * width, min(self.spec.rows, (chunk + 1) * step) * width
            where, steps = self._chunk(self.payload[bounds[chunk] : bounds[chunk + 1]], last - first)
            a, b = np.searchsorted(where, [lo * width - first, hi * width - first])
            out[where[a:b] + (first - lo * width)] += unzigzag(steps[a:b])
        return as_bytes(out)

    def _chunk(self, stored: memoryview, size: int) -> tuple[NDArray[np.int64], Unsigned]:
        """Places within the chunk, ascending, and zigzag differences."""
        if len(stored) < 8:
            raise CheckpointError("a chunk is cut short", remedy=_AGAIN)
        count, cut = (int(n) for n in np.frombuffer(stored[:8], "<u4"))
        if count > size:
            raise CheckpointError(f"a chunk of {size} elements has {count} changes", remedy=_AGAIN)
        gaps = Planes.open(stored[8 : 8 + cut], count, 1, 4).read(0, count)
        steps = Planes.open(stored[8 + cut :], count, 1, self.spec.itemsize).read(0, count)
        where = np.cumsum(gaps.astype(np.int64) + 1) - 1
        if count and where[-1] >= size:
            raise CheckpointError("a change lies outside its chunk", remedy=_AGAIN)
        return where, steps + steps.dtype.type(1)

    def _table(self) -> tuple[int, list[int]]:
        """(rows per chunk, where each chunk begins, and the end), checked against the payload."""
        step = int(np.frombuffer(self.payload[:4], "<u4")[0]) if len(self.payload) >= 4 else 0
        table = 4 + 4 * math.ceil(self.spec.rows / max(1, step))
        if step == 0 or len(self.payload) < table:
            raise CheckpointError("a payload is smaller than its table of lengths", remedy=_AGAIN)
        lengths = np.frombuffer(self.payload[4:table], "<u4").astype(np.int64)
        bounds = [table, *(table + np.cumsum(lengths)).tolist()]
        if bounds[-1] != len(self.payload):
            raise CheckpointError("a payload's lengths do not add up", remedy=_AGAIN)
        check_chunk(step, self.spec.rows, self.spec.row_size)
        return step, bounds

    @classmethod
    def load(cls, fields: dict[str, Any], payload: memoryview, spec: TensorSpec) -> Changes:
        made = cls(spec, payload)
        made._table()  # sizes are checked before anything is asked for
        return made


def _planes(values: Unsigned) -> bytes:
    flat = values.astype(numpy_bits("U32") if values.itemsize == 4 else values.dtype)
    return encode(lambda a, b: flat[a:b], flat.size, 1)
