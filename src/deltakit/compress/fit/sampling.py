"""What a row-by-row code loses, measured on some of the rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deltakit.compress.offer import Study
from deltakit.delta.terms.base import Float32

__all__ = ["column_weights", "sampled"]

_ELEMENTS = 1 << 14


def column_weights(study: Study) -> Float32:
    """What a squared error counts, per element, as something that broadcasts over the matrix (rows, columns): the mean
    square of its input, 1 without a Hessian. Errors of different elements are taken to be independent."""
    if study.hessian is None:
        return np.ones((1, 1), np.float32)
    weights = (np.diagonal(study.hessian.gram) / max(1, study.hessian.rows)).astype(np.float32)
    return weights[None, :] if study.hessian.axis == 1 else weights[:, None]


def sampled(study: Study, restored: Callable[[Float32], Float32]) -> float:
    """The error of `restored(rows)`, estimated: measured on rows spread over the matrix, errors of different elements
    independent (only the diagonal of the Hessian is looked at), in proportion to the energy of the rows."""
    step = max(1, study.rows.size // _ELEMENTS)
    weights = column_weights(study)
    some, own = study.rows[::step], weights[::step] if weights.shape[0] > 1 else weights
    lost = ((some - restored(some)).astype(np.float64) ** 2 * own).sum()
    energy = (some.astype(np.float64) ** 2 * own).sum()
    return study.spread * (lost / energy) if energy > 0 else 0.0
