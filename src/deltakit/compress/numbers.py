"""The numbers of one tensor of a delta: what is measured and coded, checked, and what that loses."""

from __future__ import annotations

import numpy as np

from deltakit.delta.expression import Entry, total
from deltakit.delta.terms.base import Float32
from deltakit.delta.terms.matrix import matrix_shape
from deltakit.errors import InputError
from deltakit.tensors import row_blocks

__all__ = ["check_entry", "loss", "matrix_of", "stored_bytes"]


def matrix_of(name: str, entry: Entry) -> Float32:
    """The shared rows as a matrix (rows, columns), float32. Two models are subtracted in row ranges, so that neither is
    whole in float32 beside the difference; coded terms are decoded once. InputError for numbers that are not finite."""
    spec = entry.shared_spec
    if entry.bits is None:
        values = total(entry.parts, 0, entry.shared, spec.row_size)
    else:
        values = np.empty((spec.rows, spec.row_size), np.float32)
        for lo, hi in row_blocks(spec):
            values[lo:hi] = total(entry.parts, lo, hi, spec.row_size)
    _check_finite(name, values)
    return values.reshape(matrix_shape(spec))


def check_entry(name: str, entry: Entry) -> None:
    """InputError where something that is kept bit for bit is not finite, added rows included; in row ranges."""
    spec = entry.shared_spec
    if not spec.is_float:
        return
    for lo, hi in row_blocks(spec) if entry.parts else ():
        _check_finite(name, total(entry.parts, lo, hi, spec.row_size))
    if entry.added is not None:
        for lo, hi in row_blocks(entry.added.spec):
            _check_finite(name, entry.added.rows(lo, hi))


def stored_bytes(entry: Entry) -> int | None:
    """Payload bytes of a delta that is stored already (an archive's, a LoRA's factors); None where it is not."""
    sizes = [part.term.nbytes for part in entry.parts]
    return sum(sizes) if all(sizes) else None


def loss(entry: Entry, made: Entry) -> tuple[float, float]:
    """The squared difference of the shared rows of two entries, and the energy of the first; in row ranges."""
    error, energy = 0.0, 0.0
    for lo, hi in row_blocks(entry.shared_spec) if entry.shared else ():
        values = total(entry.parts, lo, hi, entry.spec.row_size)
        energy += float(np.square(values, dtype=np.float64).sum())
        if made is not entry:
            difference = values - total(made.parts, lo, hi, entry.spec.row_size)
            error += float(np.square(difference, dtype=np.float64).sum())
    return error, energy


def _check_finite(name: str, values: Float32) -> None:
    bad = values.size - int(np.isfinite(values).sum())
    if bad:
        raise InputError(
            f"tensor {name!r}: {bad} of {values.size} differences are not finite",
            remedy="the fine-tune or the base holds NaN or infinity; repair it before compressing",
        )
