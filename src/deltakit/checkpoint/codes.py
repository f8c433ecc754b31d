"""Weights stored as codes: 8-bit floats, 8-bit integers, integers packed in 32-bit words; times scales of a grid.

float8: OCP 8-bit floating point, E4M3 (no infinities, NaN 0x7F and 0xFF) and E5M2. Packed integers: the layout of
compressed-tensors' `pack-quantized` with 1, 2, 4 or 8 bits: values offset by 2**(bits-1), 32 / bits of them in a word,
lowest bits first. (Other widths have been laid out in two ways by its versions.)
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltakit.tensors import TensorMap, to_float32

__all__ = ["Coded", "float8", "unpack"]

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]


@functools.cache
def _table(dtype: str) -> Float32:
    """The values of the 256 codes."""
    codes = np.arange(256)
    exponent_bits, bias = (4, 7) if dtype == "F8_E4M3" else (5, 15)
    mantissa_bits = 7 - exponent_bits
    exponent = (codes >> mantissa_bits) & ((1 << exponent_bits) - 1)
    mantissa = (codes & ((1 << mantissa_bits) - 1)) / (1 << mantissa_bits)
    values = np.where(exponent == 0, mantissa * 2.0 ** (1 - bias), (1 + mantissa) * 2.0 ** (exponent - bias))
    if dtype == "F8_E4M3":
        values[(codes & 0x7F) == 0x7F] = np.nan
    else:
        special = exponent == 31
        values[special] = np.where(mantissa[special] == 0, np.inf, np.nan)
    return np.where(codes & 0x80, -values, values).astype(np.float32)


def float8(raw: Any, dtype: str) -> Float32:
    """Flat float32 values of float8 bytes (dtype F8_E4M3 or F8_E5M2); exact."""
    return _table(dtype)[np.frombuffer(raw, np.uint8)]


def unpack(words: NDArray[np.uint32], bits: int, count: int) -> Int32:
    """Signed integers (rows, count) of 32-bit words (rows, ceil(count / (32 // bits)))."""
    each = 32 // bits
    shifts = (np.arange(each) * bits).astype(np.uint32)
    values = (words[:, :, None] >> shifts) & np.uint32((1 << bits) - 1)
    return values.reshape(len(words), words.shape[1] * each)[:, :count].astype(np.int32) - np.int32(1 << (bits - 1))


@dataclass(frozen=True)
class Coded:
    """A tensor of codes under the name that its values have: value = (code - zero) * scale, in float32.

    `shape` is the values' (matrices, or matrices stacked along the first dimension); `block` are the rows and columns
    that share a scale; `bits` of packed integers, else 0; `order` names the group of each column where groups are not
    in order; `packed_zeros`: zero points are packed along their rows.
    """

    codes: str
    shape: tuple[int, ...]
    block: tuple[int, int]
    scale: str | None = None
    zero: str | None = None
    order: str | None = None
    bits: int = 0
    packed_zeros: bool = False

    def rows(self, source: TensorMap, lo: int, hi: int) -> Float32:
        """Values of the rows lo..hi of the leading dimension, (hi - lo, row size)."""
        if lo == hi or not math.prod(self.shape):
            return np.empty((hi - lo, math.prod(self.shape[1:])), np.float32)
        if len(self.shape) == 3:
            return np.stack([self._matrix(source, e, 0, self.shape[1]).ravel() for e in range(lo, hi)])
        return self._matrix(source, None, lo, hi)

    @property
    def columns(self) -> int:
        """Columns of a matrix; what is neither a matrix nor a stack of them is one row for each of its rows."""
        return math.prod(self.shape[2:] if len(self.shape) == 3 else self.shape[1:])

    def _matrix(self, source: TensorMap, expert: int | None, lo: int, hi: int) -> Float32:
        """Rows lo..hi of one matrix."""
        values, order = self._codes(source, expert, lo, hi), self._order(source)
        if self.zero is not None:
            values -= self._columns(self._zeros(source, self.zero, expert, lo, hi), order)
        if self.scale is not None:
            values *= self._columns(self._grid(source, self.scale, expert, lo, hi), order)
        return values

    def _codes(self, source: TensorMap, expert: int | None, lo: int, hi: int) -> Float32:
        """The codes as float32, (hi - lo, columns)."""
        dtype, columns = source.specs[self.codes].dtype, self.columns
        raw = _rows(source, self.codes, expert, lo, hi)
        if self.bits:
            return unpack(_words(raw, hi - lo), self.bits, columns).astype(np.float32)
        return _numbers(raw, dtype).reshape(hi - lo, columns)

    def _zeros(self, source: TensorMap, name: str, expert: int | None, lo: int, hi: int) -> Float32:
        """The zero points of rows lo..hi, (hi - lo or 1, groups)."""
        if not self.packed_zeros:
            return self._grid(source, name, expert, lo, hi)
        each = 32 // self.bits
        first, last = lo // each, -(-hi // each)
        words = _words(_rows(source, name, expert, first, last), last - first)
        values = unpack(np.ascontiguousarray(words.T), self.bits, (last - first) * each).T
        return values[lo - first * each : hi - first * each].astype(np.float32)

    def _grid(self, source: TensorMap, name: str, expert: int | None, lo: int, hi: int) -> Float32:
        """The numbers that hold for rows lo..hi, (hi - lo or 1, groups of columns)."""
        spec, block = source.specs[name], self.block[0]
        if spec.numel == 1:
            return _numbers(source.buffer(name), spec.dtype).reshape(1, 1)
        first, last = lo // block, -(-hi // block)
        if expert is not None and len(spec.shape) == 1:  # one number for each matrix
            return _numbers(source.buffer(name, expert, expert + 1), spec.dtype).reshape(1, 1)
        raw = _rows(source, name, expert, first, last)
        grid = _numbers(raw, spec.dtype).reshape(last - first, -1)
        if block == 1:
            return grid
        return np.repeat(grid, block, axis=0)[lo - first * block : hi - first * block]

    def _columns(self, grid: Float32, order: Int32 | None) -> Float32:
        """Groups of columns over the columns of the matrix."""
        if order is not None:
            return grid[:, order]
        return grid if grid.shape[1] == 1 else np.repeat(grid, self.block[1], axis=1)[:, : self.columns]

    def _order(self, source: TensorMap) -> Int32 | None:
        """The group of each column, where groups are not in order (an order of -1 says that they are)."""
        if self.order is None:
            return None
        found = np.frombuffer(source.buffer(self.order), "<i4")
        return None if (found < 0).all() else found


def _rows(source: TensorMap, name: str, expert: int | None, lo: int, hi: int) -> memoryview:
    """Raw rows of a matrix, or of one of the matrices stacked in a tensor."""
    if expert is None:
        return source.buffer(name, lo, hi)
    spec = source.specs[name]
    stride = spec.row_size // spec.shape[1] * spec.itemsize
    return source.buffer(name, expert, expert + 1)[lo * stride : hi * stride]


def _words(raw: Any, rows: int) -> NDArray[np.uint32]:
    return np.frombuffer(raw, "<u4").reshape(rows, -1)


def _numbers(raw: Any, dtype: str) -> Float32:
    """Flat float32 values of codes, scales or zero points."""
    if dtype == "I8":
        return np.frombuffer(raw, np.int8).astype(np.float32)
    return float8(raw, dtype) if dtype.startswith("F8_") else to_float32(raw, dtype)
