"""scale * sign: one bit per element (BitDelta, arXiv 2402.10193; per-axis scales, arXiv 2512.19720), zeros exact.

The matrix view is matrix.py's. Payload: scales (one float32, or a bfloat16 per row or per column), then the mask of
non-zero elements (where there is one: a deflated bitmap of `z` bytes), then the signs of the elements that are not
masked out, row-major, 1 = plus, both with the first element in the lowest bit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.coding.packing import Codes, pack, packed_size, unpack
from deltakit.delta.coding.planes import deflate, inflate
from deltakit.delta.terms.base import Float32, Term
from deltakit.delta.terms.matrix import matrix_range, matrix_shape
from deltakit.errors import CheckpointError, MismatchError
from deltakit.tensors import ITEMSIZE, TensorSpec, from_float32, rounded, to_float32

__all__ = ["Axis", "Sign", "mask_bytes", "scale_shape", "sign_bytes"]

Axis = str  # "scalar", "row" or "column"
_LARGE = 1 << 16  # elements from which compiled loops are worth loading
_POPCOUNT = np.array([value.bit_count() for value in range(256)], np.uint8)


def scale_shape(shape: tuple[int, int], axis: Axis) -> tuple[int, int]:
    """The shape of the scales of a matrix: (1, 1), (rows, 1) or (1, columns)."""
    return {"scalar": (1, 1), "row": (shape[0], 1), "column": (1, shape[1])}[axis]


def sign_bytes(shape: tuple[int, int], axis: Axis, signs: int | None = None) -> int:
    """Payload bytes without a mask; of scales and `signs` signs (None: one for each element)."""
    return _scale_bytes(shape, axis) + packed_size(shape[0] * shape[1] if signs is None else signs, 1)


def mask_bytes(mask: NDArray[np.bool_]) -> int:
    """What the mask of the elements that are not zero takes."""
    return len(_deflated(mask))


def _deflated(mask: NDArray[np.bool_]) -> bytes:
    return deflate(pack(mask, 1))


@dataclass(frozen=True, eq=False)
class Sign(Term):
    """`scales` (scale_shape), the packed `signs`, and the deflated bitmap `mask` of what is not zero (None: all)."""

    kind: ClassVar[str] = "sign"
    spec: TensorSpec
    axis: Axis
    scales: Float32
    signs: memoryview
    mask: memoryview | None = None

    @classmethod
    def of(cls, spec: TensorSpec, plus: NDArray[np.bool_], scales: Float32, axis: Axis, mask: Any = None) -> Sign:
        """`plus` says which elements are positive and `mask` (both of the matrix' shape) which are not zero."""
        stored = rounded(scales, _scale_dtype(axis)).reshape(scale_shape(matrix_shape(spec), axis))
        kept = plus if mask is None else plus[mask]
        bitmap = None if mask is None else memoryview(_deflated(mask))
        return cls(spec, axis, stored, memoryview(pack(kept, 1)), bitmap)

    def with_scales(self, scales: Float32) -> Sign:
        """The same signs with other scales, rounded as they are stored: what healing changes."""
        if scales.shape != self.scales.shape:
            raise MismatchError(f"{scales.shape} scales where the term has {self.scales.shape}")
        return replace(self, scales=rounded(scales, _scale_dtype(self.axis)))

    def rows(self, lo: int, hi: int) -> Float32:
        height, width = matrix_shape(self.spec)
        first, last = matrix_range(self.spec, lo, hi)
        scales = self.scales[first:last] if self.axis == "row" else self.scales
        out = self._signs(first * width, last * width).reshape(last - first, width)
        out *= scales
        return out.reshape(hi - lo, self.spec.row_size)

    def _signs(self, lo: int, hi: int) -> Float32:
        """-1, 0 or 1 of the flattened elements lo..hi."""
        if self.mask is None:
            return _floats(unpack(self.signs, 1, hi - lo, lo))
        where = unpack(self._bitmap, 1, hi - lo, lo)
        kept = _floats(unpack(self.signs, 1, int(np.count_nonzero(where)), self._ones(lo)))
        if where.size >= _LARGE and kept.size:
            from deltakit.delta.coding.kernels.kept import expand

            out = np.empty(where.size, np.float32)
            expand(out, where, kept)
            return out
        out = np.zeros(where.size, np.float32)
        out[where.view(bool)] = kept
        return out

    @cached_property
    def _bitmap(self) -> bytes:
        """The inflated mask: one bit per element."""
        return inflate(memoryview(self.mask or b""), packed_size(self.spec.numel, 1))

    @cached_property
    def _counts(self) -> NDArray[np.int64]:
        """How many elements are kept before each block of 4096."""
        blocks = np.frombuffer(self._bitmap.ljust(-(-len(self._bitmap) // 512) * 512, b"\0"), np.uint8).reshape(-1, 512)
        return np.concatenate([[0], np.cumsum(_POPCOUNT[blocks].sum(axis=1, dtype=np.int64))])

    def _ones(self, end: int) -> int:
        """How many of the first `end` elements are kept."""
        block = end // 4096
        return int(self._counts[block]) + int(unpack(self._bitmap, 1, end - block * 4096, block * 4096).sum())

    @property
    def nbytes(self) -> int:
        return _scale_bytes(matrix_shape(self.spec), self.axis) + len(self.mask or b"") + len(self.signs)

    def save(self) -> tuple[dict[str, Any], bytes]:
        fields: dict[str, Any] = {"a": self.axis}
        if self.mask is not None:
            fields["z"] = len(self.mask)
        scales = from_float32(self.scales.ravel(), _scale_dtype(self.axis)).tobytes()
        return fields, scales + bytes(self.mask or b"") + bytes(self.signs)

    @classmethod
    def load(cls, fields: dict[str, Any], payload: memoryview, spec: TensorSpec) -> Sign:
        axis, shape, masked = fields["a"], matrix_shape(spec), fields.get("z")
        if axis not in ("scalar", "row", "column") or not (masked is None or type(masked) is int and masked >= 0):
            raise CheckpointError(f"a sign term has scales per {axis!r} and a mask of {masked!r} bytes")
        at = _scale_bytes(shape, axis)
        end = at + (masked or 0)
        if payload.nbytes < end:
            raise CheckpointError(f"a sign payload has {payload.nbytes} bytes, its scales and mask take {end}")
        scales = to_float32(payload[:at], _scale_dtype(axis)).reshape(scale_shape(shape, axis))
        term = cls(spec, axis, scales, payload[end:], None if masked is None else payload[at:end])
        count = spec.numel if masked is None else term._ones(spec.numel) if masked else 0  # 0 bytes: all are zeros
        if len(term.signs) != packed_size(count, 1):
            raise CheckpointError(f"a sign payload holds {len(term.signs)} bytes for the signs of {count} elements")
        return term


def _floats(bits: Codes) -> Float32:
    """-1 and 1 of bits."""
    out = bits.astype(np.float32)
    out *= 2
    out -= 1
    return out


def _scale_dtype(axis: Axis) -> str:
    """One number can afford 32 bits; a vector is stored as bfloat16."""
    return "F32" if axis == "scalar" else "BF16"


def _scale_bytes(shape: tuple[int, int], axis: Axis) -> int:
    rows, columns = scale_shape(shape, axis)
    return rows * columns * ITEMSIZE[_scale_dtype(axis)]
