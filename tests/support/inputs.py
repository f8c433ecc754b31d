"""Second moments of inputs as layers have them: correlated, uneven, a few outliers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["activations", "moments"]


def activations(width: int, rows: int, seed: int = 0, outlier: float = 20.0) -> NDArray[np.float64]:
    """Inputs (rows, width): a falling spectrum, log-normal sizes, one in 64 `outlier` times as large."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((width, width)))[0]
    size = np.exp(0.5 * rng.standard_normal(width))
    size[rng.choice(width, -(-width // 64), replace=False)] *= outlier
    made: NDArray[np.float64] = (rng.standard_normal((rows, width)) * np.arange(1, width + 1.0) ** -0.5) @ turn.T * size
    return made


def moments(width: int, rows: int = 0, seed: int = 0, outlier: float = 20.0) -> NDArray[np.float64]:
    """The sum of x xᵀ over `rows` inputs (8 * width unless told)."""
    x = activations(width, rows or 8 * width, seed, outlier)
    return x.T @ x
