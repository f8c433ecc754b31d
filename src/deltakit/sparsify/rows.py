"""Primitives that rank the elements of a row: a row runs along the last dimension, of a stack of matrices as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.terms.base import Float32
from deltakit.sparsify.flow import Flow

__all__ = ["by_rows", "ranks"]

Compute: TypeAlias = Callable[[Float32, int], Float32]  # (rows, index of the first element) -> rows


def by_rows(flow: Flow, name: str, lo: int, hi: int, compute: Compute) -> Float32:
    """`compute` over the rows within a range of the leading dimension. A vector is one row, which is pulled whole;
    packed experts (experts, out, in) have experts * out rows."""
    spec = flow.specs[name]
    if len(spec.shape) < 2:
        whole = flow.pull(name, 0, spec.rows)
        made = compute(whole.reshape(1, -1), 0) if whole.size else whole
        return np.ascontiguousarray(made.reshape(-1, 1)[lo:hi])
    values = flow.pull(name, lo, hi)
    if not values.size:
        return values
    return compute(values.reshape(-1, spec.shape[-1]), lo * spec.row_size).reshape(values.shape)


def ranks(rows: Float32) -> NDArray[np.int64]:
    """The rank of each element of each row: 0 is the largest magnitude; equal ones by their index."""
    order = np.argsort(-np.abs(rows), axis=1, kind="stable")
    made = np.empty_like(order)
    np.put_along_axis(made, order, np.arange(rows.shape[1])[None, :], axis=1)
    return made
