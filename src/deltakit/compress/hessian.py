"""What enters a matrix: the second moments of its inputs, by which an error in it is weighed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.terms.base import Float32

__all__ = ["Hessian"]

Float64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Hessian:
    """`gram` (inputs, inputs), float64: the sum of x xᵀ over `rows` inputs x. `axis` is the axis of the matrix view
    that the inputs run along: 1 for (out, in) as linear layers store it, 0 for (in, out) as GPT-2 does."""

    gram: Float64
    axis: int = 1
    rows: int = 0

    def error(self, difference: Float32) -> float:
        """tr(E H Eᵀ): the squared error of the outputs, summed over the inputs, that the matrix `difference` makes."""
        facing = difference if self.axis == 1 else difference.T
        wide = facing.astype(np.float64)
        return float(((wide @ self.gram) * wide).sum())
