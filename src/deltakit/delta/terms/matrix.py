"""The matrix view of a tensor: its last dimension as columns, all others, flattened, as rows."""

from __future__ import annotations

from deltakit.tensors import TensorSpec

__all__ = ["matrix_range", "matrix_shape"]


def matrix_shape(spec: TensorSpec) -> tuple[int, int]:
    """(rows, columns) of the matrix view; a tensor of one dimension is one column."""
    if len(spec.shape) < 2:
        return spec.numel, 1
    return spec.numel // max(1, spec.shape[-1]), spec.shape[-1]


def matrix_range(spec: TensorSpec, lo: int, hi: int) -> tuple[int, int]:
    """(first, last) rows of the matrix view that rows lo..hi of the tensor are."""
    per = matrix_shape(spec)[0] // max(1, spec.rows)
    return lo * per, hi * per
