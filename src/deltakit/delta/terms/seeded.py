"""A dropped difference with coded survivors: the mask is made again from a key and costs no bytes (DARE).

Element e of the flattened tensor is kept iff lane e of the key (rng.py) is below the threshold T. Payload: u32 counts
of kept elements, one per chunk of 65536 elements; then, for codes, a bfloat16 scale per `group` kept values and the
codes (packing.py, grid.py); else the kept values as floats.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from deltakit import rng
from deltakit.delta.coding.factor import Code, is_code
from deltakit.delta.coding.grid import scaled
from deltakit.delta.coding.packing import packed_size, unpack
from deltakit.delta.terms.base import Float32, Term
from deltakit.errors import CheckpointError
from deltakit.tensors import ITEMSIZE, TensorSpec, to_float32

__all__ = ["CHUNK", "Seeded", "seeded_bytes"]

CHUNK = 1 << 16  # elements
_LARGE = 1 << 16  # elements from which compiled loops are worth loading


def seeded_bytes(numel: int, kept: int, code: Code, group: int) -> int:
    """Payload bytes for a tensor of `numel` elements of which `kept` are stored, everything counted."""
    values = kept * ITEMSIZE[code] if isinstance(code, str) else 2 * -(-kept // group) + packed_size(kept, code)
    return 4 * -(-numel // CHUNK) + values


@dataclass(frozen=True, eq=False)
class Seeded(Term):
    """`key` and `threshold` (1 .. 2**32) make the mask; `counts` (chunks,) say how many each chunk keeps; `raw` holds
    the scales and codes of `code` bits, or floats of the dtype `code`; `zero`: the grid has a zero."""

    kind: ClassVar[str] = "seeded"
    spec: TensorSpec
    key: int
    threshold: int
    code: Code
    group: int
    counts: NDArray[np.uint32]
    raw: memoryview
    zero: bool = False

    def rows(self, lo: int, hi: int) -> Float32:
        a, b = lo * self.spec.row_size, hi * self.spec.row_size
        out = np.empty(b - a, np.float32)
        first, last = a // CHUNK, -(-b // CHUNK) if b > a else a // CHUNK
        if first == last:
            return out.reshape(hi - lo, self.spec.row_size)
        values = self._values(int(self._ends[first]), int(self._ends[last]))
        used = 0
        for c in range(first, last):
            start, skip = c * CHUNK, max(0, a - c * CHUNK)
            part = out[start + skip - a : min(b, start + CHUNK) - a]
            found = self._fill(part, values[used : used + int(self.counts[c])], start, skip)
            whole = start + skip + part.size == min(start + CHUNK, self.spec.numel)
            if found < 0 or (whole and found != self.counts[c]):
                raise CheckpointError("a seeded payload's counts are not those of its mask")
            used += int(self.counts[c])
        return out.reshape(hi - lo, self.spec.row_size)

    def _fill(self, out: Float32, values: Float32, start: int, skip: int) -> int:
        """Elements start+skip .. of one chunk; how many up to their end are kept, -1 where that is more than values."""
        if out.size + skip >= _LARGE and values.size:
            from deltakit.delta.coding.kernels.kept import fill

            return int(fill(out, values, np.uint64(self.key), np.uint64(self.threshold - 1), start, skip))
        mask = rng.lanes(self.key, start, start + skip + out.size) <= np.uint32(self.threshold - 1)
        before, found = int(np.count_nonzero(mask[:skip])), int(np.count_nonzero(mask))
        if found > len(values):
            return -1
        out[:] = 0
        out[mask[skip:]] = values[before:found]
        return found

    def _values(self, lo: int, hi: int) -> Float32:
        """Kept values lo..hi."""
        if isinstance(self.code, str):
            return to_float32(self.raw[lo * ITEMSIZE[self.code] : hi * ITEMSIZE[self.code]], self.code)
        first, last = lo // self.group, -(-hi // self.group)
        scales = to_float32(self.raw[2 * first : 2 * last], "BF16")
        codes = np.zeros((last - first) * self.group, np.uint8)
        at = first * self.group
        codes[: hi - at] = unpack(self.raw[2 * -(-self._kept // self.group) :], self.code, hi - at, at)
        made = scaled(codes.reshape(-1, self.group), scales[:, None], self.group, self.code, self.zero)
        return made.ravel()[lo - at : hi - at]

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        """How many are kept before each chunk, and in all."""
        return np.concatenate([[0], np.cumsum(self.counts, dtype=np.int64)])

    @property
    def _kept(self) -> int:
        return int(self._ends[-1])

    @property
    def density(self) -> float:
        """The share that the mask keeps."""
        return self.threshold / 2**32

    @property
    def nbytes(self) -> int:
        return 4 * len(self.counts) + len(self.raw)

    def save(self) -> tuple[dict[str, Any], bytes]:
        fields: dict[str, Any] = {"k": self.key, "t": self.threshold, "b": self.code}
        if isinstance(self.code, int):
            fields |= {"g": self.group} | ({"z": 1} if self.zero else {})
        return fields, self.counts.astype("<u4").tobytes() + bytes(self.raw)

    @classmethod
    def load(cls, fields: dict[str, Any], payload: memoryview, spec: TensorSpec) -> Seeded:
        key, threshold, code = fields.get("k", -1), fields.get("t", 0), fields.get("b", 0)
        group, zero = fields.get("g", 1), fields.get("z", 0)
        sound = type(key) is int and 0 <= key < 2**64 and type(threshold) is int and 1 <= threshold <= 2**32
        if not sound or not is_code(code) or type(group) is not int or group < 1 or zero not in (0, 1):
            raise CheckpointError(f"a seeded term has the fields {fields}")
        table = 4 * math.ceil(spec.numel / CHUNK)
        counts = np.frombuffer(payload[:table], "<u4") if payload.nbytes >= table else np.empty(0, "<u4")
        want = seeded_bytes(spec.numel, int(counts.sum(dtype=np.int64)), code, group)
        if payload.nbytes != want or counts.max(initial=0) > CHUNK:
            raise CheckpointError(f"a seeded payload has {payload.nbytes} bytes, its counts say {want}")
        return cls(spec, key, threshold, code, group, counts.astype(np.uint32), payload[table:], bool(zero))
