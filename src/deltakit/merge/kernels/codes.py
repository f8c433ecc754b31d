"""Blocks of elements between raw bytes in memory and float32, as `deltakit.tensors` codes and rounds them."""

from __future__ import annotations

import numpy as np

from deltakit.delta.coding.kernels.added import to_bfloat16
from deltakit.delta.coding.kernels.compiled import as_bits, as_float, compiled, load16, load32, store16, store32

__all__ = ["KINDS", "decode", "encode", "rounded"]

KINDS = {"BF16": 0, "F16": 1, "F32": 2}
_SIGN, _NAN32 = np.uint32(0x80000000), np.uint32(0x7F800000)
_ONE, _16 = np.uint32(1), np.uint32(16)
# float16: where its infinity, its normal numbers and its rounding begin, as bits of a float32 (after F. Giesen)
_TOP, _NORMAL, _MAGIC = np.uint32(143 << 23), np.uint32(113 << 23), np.uint32(126 << 23)
_REBIAS, _EXPONENT = np.uint32(112 << 23), np.uint32(0x7C00 << 13)


@compiled
def to_float16(bits):
    """float16 bits of float32 bits, rounded to nearest even."""
    sign = bits & _SIGN
    size = bits ^ sign
    low = as_bits(as_float(size) + as_float(_MAGIC)) - _MAGIC  # the adder rounds what is below the normal numbers
    normal = (size - _REBIAS + np.uint32(0xFFF) + ((size >> np.uint32(13)) & _ONE)) >> np.uint32(13)
    payload = max((size >> np.uint32(13)) & np.uint32(0x3FF), _ONE)
    high = np.uint32(0x7C00) | (payload if size > _NAN32 else np.uint32(0))
    made = high if size >= _TOP else (low if size < _NORMAL else normal)
    return made | (sign >> _16)


@compiled
def of_float16(half):
    """float32 bits of float16 bits."""
    bits = (half & np.uint32(0x7FFF)) << np.uint32(13)
    exponent = bits & _EXPONENT
    bits = bits + _REBIAS
    low = as_bits(as_float(bits + np.uint32(1 << 23)) - as_float(_NORMAL))
    made = bits + _REBIAS if exponent == _EXPONENT else (low if exponent == np.uint32(0) else bits)
    return made | ((half & np.uint32(0x8000)) << _16)


@compiled
def decode(x, address, at, kind):
    """float32 `x` from the elements behind `at`."""
    if kind == 0:
        for i in range(x.size):
            x[i] = as_float(np.uint32(load16(address, at + i)) << _16)
    elif kind == 1:
        for i in range(x.size):
            x[i] = as_float(of_float16(np.uint32(load16(address, at + i))))
    else:
        for i in range(x.size):
            x[i] = as_float(load32(address, at + i))


@compiled
def encode(x, address, at, kind):
    """float32 `x` rounded once into the elements behind `at`."""
    if kind == 0:
        for i in range(x.size):
            store16(address, at + i, np.uint16(to_bfloat16(as_bits(x[i]))))
    elif kind == 1:
        for i in range(x.size):
            store16(address, at + i, np.uint16(to_float16(as_bits(x[i]))))
    else:
        for i in range(x.size):
            store32(address, at + i, as_bits(x[i]))


@compiled
def rounded(x, kind):
    """float32 `x` rounded in place to the values of a narrower dtype; kind 2 leaves it."""
    if kind == 0:
        for i in range(x.size):
            x[i] = as_float(np.uint32(to_bfloat16(as_bits(x[i]))) << _16)
    elif kind == 1:
        for i in range(x.size):
            x[i] = as_float(of_float16(np.uint32(to_float16(as_bits(x[i])))))
