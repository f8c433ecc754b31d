"""U·diag(s)·Vᵀ as Delta-CoMe (arXiv 2406.08903) quantises it: bands of codes on asymmetric grids, a scale and a zero
per group. It is what `lowrank` is compared with; everything that the grids take is counted.

The matrix view is matrix.py's. Payload: s in bfloat16, then for each band Vᵀ (rank, columns), its groups along the
columns, and U (rows, rank), its groups along the ranks of the band (coding/minmax.py). With `turned` all this is said
of the transposed matrix: where a model stores its weights as (inputs, outputs), groups still run along the inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from deltakit.delta.coding.minmax import MinMax, minmax_size
from deltakit.delta.terms.base import Float32, Term
from deltakit.delta.terms.matrix import matrix_range, matrix_shape
from deltakit.errors import CheckpointError
from deltakit.tensors import TensorSpec, from_float32, rounded, to_float32

__all__ = ["Bits", "MinMaxLowRank", "minmax_bytes"]

Bits = tuple[int, int]  # bits per code, rank
_TILE = 128  # matrix rows per product, so that a row's bits do not depend on the range that was asked for


def minmax_bytes(shape: tuple[int, int], bands: Sequence[Bits], group: int) -> int:
    """Payload bytes for a matrix of `shape`, everything counted."""
    rows, columns = shape
    sides = (
        minmax_size(rank, columns, bits, group) + minmax_size(rows, rank, bits, group) for bits, rank in bands if rank
    )
    return sum(2 * rank for _, rank in bands) + sum(sides)


@dataclass(frozen=True, eq=False)
class MinMaxLowRank(Term):
    """`pairs` of (Vᵀ, U) per band, and s (rank,)."""

    kind: ClassVar[str] = "lowrank_minmax"
    spec: TensorSpec
    group: int
    pairs: tuple[tuple[MinMax, MinMax], ...]
    s: Float32
    turned: bool = False

    @classmethod
    def of(
        cls, spec: TensorSpec, pairs: Sequence[tuple[MinMax, MinMax]], s: Float32, group: int, turned: bool = False
    ) -> MinMaxLowRank:
        """s is rounded to bfloat16."""
        return cls(spec, group, tuple(pairs), rounded(s, "BF16"), turned)

    @property
    def bands(self) -> tuple[Bits, ...]:
        """(bits, rank) of every band."""
        return tuple((v.bits, v.height) for v, _ in self.pairs)

    @property
    def rank(self) -> int:
        return len(self.s)

    @property
    def nbytes(self) -> int:
        return minmax_bytes(_shape(self.spec, self.turned), self.bands, self.group)

    def factors(self) -> tuple[Float32, Float32, Float32]:
        """U (rows, rank), s (rank,), V (columns, rank) as float32."""
        rows, columns = _shape(self.spec, self.turned)
        left = [u.values() for _, u in self.pairs] or [np.zeros((rows, 0), np.float32)]
        right = [v.values() for v, _ in self.pairs] or [np.zeros((0, columns), np.float32)]
        sides = np.concatenate(left, axis=1), np.concatenate(right).T
        return sides[self.turned], self.s, sides[not self.turned]

    def rows(self, lo: int, hi: int) -> Float32:
        height, width = matrix_shape(self.spec)
        first, last = matrix_range(self.spec, lo, hi)
        out = np.zeros((last - first, width), np.float32)
        u, s, v = self.factors()
        right = np.ascontiguousarray((v * s).T)
        for tile in range(first // _TILE * _TILE, last if out.size else 0, _TILE):
            left = np.zeros((_TILE, self.rank), np.float32)
            left[: min(_TILE, height - tile)] = u[tile : tile + _TILE]
            a, b = max(tile, first), min(tile + _TILE, last)
            out[a - first : b - first] = (left @ right)[a - tile : b - tile]
        return out.reshape(hi - lo, self.spec.row_size)

    def matmul(self, x: Float32) -> Float32:
        if len(self.spec.shape) != 2 or x.ndim != 2 or x.shape[1] != self.spec.row_size:
            return super().matmul(x)
        u, s, v = self.factors()
        return np.asarray(((x @ v) * s) @ u.T, np.float32)

    def save(self) -> tuple[dict[str, Any], bytes]:
        scales = from_float32(self.s, "BF16").tobytes()
        fields: dict[str, Any] = {"b": [list(band) for band in self.bands], "g": self.group}
        if self.turned:
            fields["t"] = 1
        return fields, b"".join([scales, *(side.raw for pair in self.pairs for side in pair)])

    @classmethod
    def load(cls, fields: dict[str, Any], payload: memoryview, spec: TensorSpec) -> MinMaxLowRank:
        bands, group, turned = [_band(band) for band in fields["b"]], fields.get("g"), fields.get("t", 0)
        if type(group) is not int or group < 1 or turned not in (0, 1):
            raise CheckpointError(f"a low-rank term has groups of {group!r} and is turned {turned!r}")
        rows, columns = _shape(spec, bool(turned))
        want = minmax_bytes((rows, columns), bands, group)
        if payload.nbytes != want:
            raise CheckpointError(f"a low-rank payload has {payload.nbytes} bytes, its bands {bands} say {want}")
        at, pairs = 2 * sum(rank for _, rank in bands), []
        s = to_float32(payload[:at], "BF16")
        for bits, rank in bands:
            sides = []
            for height, width in ((rank, columns), (rows, rank)):
                size = minmax_size(height, width, bits, group)
                sides.append(MinMax(bits, group, height, width, payload[at : at + size]))
                at += size
            pairs.append((sides[0], sides[1]))
        return cls(spec, group, tuple(pairs), s, bool(turned))


def _shape(spec: TensorSpec, turned: bool) -> tuple[int, int]:
    """The matrix that the sides are of."""
    rows, columns = matrix_shape(spec)
    return (columns, rows) if turned else (rows, columns)


def _band(band: Any) -> Bits:
    """A band from a file, checked."""
    if isinstance(band, list) and len(band) == 2 and all(type(x) is int for x in band):
        bits, rank = band
        if 1 <= bits <= 8 and rank >= 1:
            return bits, rank
    raise CheckpointError(f"a low-rank band {band!r} is not [bits 1..8, rank of 1 or more]")
