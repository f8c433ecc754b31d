"""Finds the tensor of a base that a tensor of a fine-tune was copied from: stacked layers, an untied head."""

from __future__ import annotations

import numpy as np

from deltakit.delta.terms.base import Float32
from deltakit.tensors import TensorMap, TensorSpec, to_float32

__all__ = ["like"]

_PROBE = 4096  # elements that are compared, from the middle
_NEAR = 0.1  # of the energy: a copy that was trained on is still one
_SMALL = 1024  # elements below which a tensor is not worth a search


def like(base: TensorMap, tuned: TensorMap, name: str, spec: TensorSpec, start: int = 0) -> tuple[str, int] | None:
    """(tensor of the base, its first row) that rows `start` .. of a tuned tensor are most like, if they are.

    `spec` has their shape. Candidates have the same dtype and row size, and these rows at their beginning or their end;
    a few rows of each are read. The tensor of the same name is not looked at.
    """
    if not spec.is_float or spec.numel < _SMALL:
        return None
    lo = spec.rows // 2
    hi = min(spec.rows, lo + max(1, _PROBE // spec.row_size))
    wanted = to_float32(tuned.buffer(name, start + lo, start + hi), spec.dtype)
    best, found = _NEAR, None
    for other, have in base.specs.items():
        if other == name or have.dtype != spec.dtype or have.shape[1:] != spec.shape[1:] or have.rows < spec.rows:
            continue
        for first in sorted({0, have.rows - spec.rows}):
            distance = _distance(wanted, to_float32(base.buffer(other, first + lo, first + hi), have.dtype))
            if distance < best:
                best, found = distance, (other, first)
    return found


def _distance(wanted: Float32, have: Float32) -> float:
    """The squared difference over the energy; infinite where it is no number."""
    with np.errstate(over="ignore", invalid="ignore"):
        energy = float(np.square(wanted, dtype=np.float64).sum())
        apart = float(np.square(wanted.astype(np.float64) - have).sum())
    if not apart:
        return 0.0
    return apart / energy if energy and np.isfinite(apart) and np.isfinite(energy) else float("inf")
