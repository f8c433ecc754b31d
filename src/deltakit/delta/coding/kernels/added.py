"""A difference onto bfloat16 numbers in one pass: read, added in float32, rounded once."""

from __future__ import annotations

import numpy as np

from deltakit.delta.coding.kernels.compiled import as_bits, as_float, compiled, load16

__all__ = ["add16", "to_bfloat16"]

_SIGN, _NAN = np.uint32(0x80000000), np.uint32(0x7F800000)
_ONE, _16 = np.uint32(1), np.uint32(16)
_HALF, _QUIET = np.uint32(0x7FFF), np.uint32(0x40)


@compiled
def to_bfloat16(bits):
    """The upper half, rounded to nearest even; a NaN stays one."""
    whole = (bits + _HALF + ((bits >> _16) & _ONE)) >> _16
    nan = (bits & ~_SIGN) > _NAN
    return ((bits >> _16) | _QUIET) if nan else whole


@compiled
def add16(out, address, rows):
    """The bits behind `address` plus `rows`, rounded into `out` (uint16). Where rows are 0, what was there stays, a
    negative zero too."""
    for i in range(out.size):
        base = as_float(np.uint32(load16(address, i)) << _16)
        total = base + rows[i] if rows[i] != np.float32(0) else base
        out[i] = np.uint16(to_bfloat16(as_bits(total)))
