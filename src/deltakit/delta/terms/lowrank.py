"""U·diag(s)·Vᵀ with the columns in bands, each with a precision of its own (Delta-CoMe, arXiv 2406.08903).

The matrix view is matrix.py's. A band is (code, rank): code is 1 to 8 (bits per element), a float dtype ("F16",
"BF16", "F32") or a trellis code ("T1" to "T3"). Payload: s in the dtype `stored` (nothing where it is "": then s is all
ones), then for each band U (rows, rank) and V (columns, rank), row-major (factor.py).
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.coding.factor import Code, Factor, factor_size, is_factor_code
from deltakit.delta.terms.base import Float32, Term
from deltakit.delta.terms.matrix import matrix_range, matrix_shape
from deltakit.errors import CheckpointError, MismatchError
from deltakit.tensors import FLOAT_DTYPES, ITEMSIZE, TensorSpec, from_float32, rounded, to_float32

__all__ = ["Band", "LowRank", "payload_bytes"]

Band = tuple[Code, int]
_TILE = 512  # matrix rows per product, so that a row's bits do not depend on the range that was asked for
_LAST = threading.local()  # the term whose V was decoded last, and V diag(s): a tensor is read range by range


def payload_bytes(shape: tuple[int, int], bands: Sequence[Band], stored: str = "BF16") -> int:
    """Bytes of the payload for a matrix of `shape`, everything counted."""
    scale = ITEMSIZE[stored] if stored else 0
    return sum(scale * rank + sum(factor_size(length, rank, code) for length in shape) for code, rank in bands)


@dataclass(frozen=True, eq=False)
class LowRank(Term):
    """A factored matrix: `pairs` of (U, V) per band and s (rank,). Numbers are decoded when asked for, never kept."""

    kind: ClassVar[str] = "lowrank"
    spec: TensorSpec
    pairs: tuple[tuple[Factor, Factor], ...]
    s: Float32
    stored: str = "BF16"

    @classmethod
    def of(cls, spec: TensorSpec, u: Float32, v: Float32, dtype: str = "F16") -> LowRank:
        """Float factors as they are: u @ v.T with u (rows, rank) and v (columns, rank), rounded once to `dtype`."""
        return cls(spec, ((Factor.of(u, dtype), Factor.of(v, dtype)),), np.ones(u.shape[1], np.float32), "")

    @classmethod
    def packed(cls, spec: TensorSpec, pairs: Sequence[tuple[Factor, Factor]], s: Float32) -> LowRank:
        """Bands with s, rounded to bfloat16: the scales of a delta need range more than digits."""
        return cls(spec, tuple(pairs), rounded(s, "BF16"))

    @property
    def bands(self) -> tuple[Band, ...]:
        """(code, rank) of every band."""
        return tuple((u.code, u.rank) for u, _ in self.pairs)

    @property
    def rank(self) -> int:
        return len(self.s)

    @property
    def nbytes(self) -> int:
        return payload_bytes(matrix_shape(self.spec), self.bands, self.stored)

    def with_scales(self, s: Float32) -> LowRank:
        """The same codes with other singular values (rank,), rounded to bfloat16: what healing changes."""
        if s.shape != self.s.shape:
            raise MismatchError(f"{s.shape} scales for a term of rank {self.rank}")
        return LowRank.packed(self.spec, self.pairs, s)

    def factors(self) -> tuple[Float32, Float32, Float32]:
        """U (rows, rank), s (rank,), V (columns, rank) as float32."""
        rows, columns = matrix_shape(self.spec)
        return self._side(0, 0, rows), self.s, self._side(1, 0, columns)

    def rows(self, lo: int, hi: int) -> Float32:
        height, width = matrix_shape(self.spec)
        first, last = matrix_range(self.spec, lo, hi)
        out = np.zeros((last - first, width), np.float32)
        if not out.size or not self.rank:
            return out.reshape(hi - lo, self.spec.row_size)
        right = self._right().T
        for tile in range(first // _TILE * _TILE, last, _TILE):
            end = min(tile + _TILE, height)
            left = self._side(0, tile, end)
            a, b = max(tile, first), min(end, last)
            if b - a == end - tile:
                np.matmul(left, right, out=out[a - first : b - first])
            else:
                out[a - first : b - first] = (left @ right)[a - tile : b - tile]
        return out.reshape(hi - lo, self.spec.row_size)

    def gather(self, ids: Sequence[int] | NDArray[np.int64]) -> Float32:
        if len(self.spec.shape) != 2:
            return super().gather(ids)
        left = _join([u.gather(ids) for u, _ in self.pairs], len(ids))
        return np.asarray(left @ self._right().T, np.float32)

    def matmul(self, x: Float32) -> Float32:
        if len(self.spec.shape) != 2 or x.ndim != 2 or x.shape[1] != self.spec.row_size:
            return super().matmul(x)
        u, s, v = self.factors()
        return np.asarray(((x @ v) * s) @ u.T, np.float32)

    def inner(self, other: Term) -> float:
        if not isinstance(other, LowRank) or other.spec.shape != self.spec.shape:
            return super().inner(other)
        (u1, s1, v1), (u2, s2, v2) = ([f.astype(np.float64) for f in t.factors()] for t in (self, other))
        return float((((u1 * s1).T @ (u2 * s2)) * (v1.T @ v2)).sum())

    def save(self) -> tuple[dict[str, Any], bytes]:
        fields: dict[str, Any] = {"b": [list(band) for band in self.bands]}
        if self.stored != "BF16":
            fields["s"] = self.stored
        scales = from_float32(self.s, self.stored).tobytes() if self.stored else b""
        return fields, b"".join([scales, *(side.raw for pair in self.pairs for side in pair)])

    @classmethod
    def load(cls, fields: dict[str, Any], payload: memoryview, spec: TensorSpec) -> LowRank:
        bands, stored = [_band(band) for band in fields["b"]], str(fields.get("s", "BF16"))
        if stored not in ("", *FLOAT_DTYPES):
            raise CheckpointError(f"a low-rank term has scales of dtype {stored!r}")
        want = payload_bytes(matrix_shape(spec), bands, stored)
        if payload.nbytes != want:
            raise CheckpointError(f"a low-rank payload has {payload.nbytes} bytes, its bands {bands} say {want}")
        rank = sum(r for _, r in bands)
        at = rank * ITEMSIZE[stored] if stored else 0
        s = to_float32(payload[:at], stored) if stored else np.ones(rank, np.float32)
        return cls(spec, tuple(_pairs(bands, payload[at:], matrix_shape(spec))), s, stored)

    def _right(self) -> Float32:
        """V diag(s), (columns, rank), kept until this thread reads another term."""
        kept = getattr(_LAST, "kept", None)
        if kept is None or kept[0]() is not self:
            right = self._side(1, 0, matrix_shape(self.spec)[1])
            right *= self.s
            kept = _LAST.kept = (weakref.ref(self, _forget), right)
        found: Float32 = kept[1]
        return found

    def _side(self, side: int, lo: int, hi: int) -> Float32:
        """Rows lo..hi of U (side 0) or V (side 1), all bands, (hi-lo, rank)."""
        out, at = np.empty((hi - lo, self.rank), np.float32), 0
        for pair in self.pairs:
            pair[side].fill(out[:, at : at + pair[side].rank], lo)
            at += pair[side].rank
        return out


def _forget(gone: weakref.ref[LowRank]) -> None:
    """Let a dead term's V go, where this thread decoded it."""
    if getattr(_LAST, "kept", (None,))[0] is gone:
        del _LAST.kept


def _join(parts: list[Float32], count: int) -> Float32:
    return np.concatenate(parts, axis=1) if parts else np.empty((count, 0), np.float32)


def _pairs(bands: list[Band], payload: memoryview, shape: tuple[int, int]) -> Iterator[tuple[Factor, Factor]]:
    """The factors of a payload without its s."""
    at = 0
    for code, rank in bands:
        sides = []
        for length in shape:
            size = factor_size(length, rank, code)
            sides.append(Factor(code, length, rank, payload[at : at + size]))
            at += size
        yield sides[0], sides[1]


def _band(band: Any) -> Band:
    """A band from a file, checked."""
    if isinstance(band, list) and len(band) == 2 and is_factor_code(band[0]) and type(band[1]) is int and band[1] >= 0:
        return band[0], band[1]
    raise CheckpointError(f"a low-rank band {band!r} is not [bits 1..8, a float dtype or a trellis code, rank]")
