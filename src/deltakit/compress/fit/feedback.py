"""The coded factor nearest to a delta seen through the other factor, by decision feedback: `carry.carried` of the
least-squares fit where nothing is known of the inputs, at a fraction of its time.

With the other factor's Gram matrix G = L Lᵀ and S what is seen, the squared error of a factor X (rank, length) is
‖Lᵀ X - L⁻¹ S‖² and a constant. Lᵀ is upper, so from the last rank to the first every row has one unknown: what it wants
less what the rows behind have become. One triangular solve; neither G⁻¹ S nor G⁻¹ is formed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deltakit.compress.fit.grids import STEP
from deltakit.delta.coding.factor import Code
from deltakit.tensors import FLOAT_DTYPES, rounded

if TYPE_CHECKING:
    import torch

__all__ = ["AROUND", "INSIDE", "alone", "fed"]

Float32 = NDArray[np.float32]
_RANKS = 32  # coded before the next are updated, by one product
# Starts of the scale search: of `grids` every second. Factors' rows are near to Gaussian, and each is fitted anew.
AROUND = np.array([0.8, 1.0, 1.25])
INSIDE = np.array([0.65, 1.0])


def fed(seen: torch.Tensor, lower: torch.Tensor, codes: Sequence[Code]) -> torch.Tensor:
    """Code the ranks of seen (rank, length) from the last to the first, with one scale each; gives their stored numbers
    (rank, length), in seen's dtype. `lower` is the Cholesky factor of the other side's Gram matrix."""
    import torch

    from deltakit.compress.fit.kernels.feedback import code_back

    bits = np.array([code if isinstance(code, int) else 0 for code in codes], np.int64)
    solved = torch.linalg.solve_triangular(lower.T, seen.T, upper=True, left=False)  # the order that needs no copy
    left = solved.T.contiguous().cpu()
    factor, out = lower.cpu(), torch.empty_like(left)
    for hi in range(len(left), 0, -_RANKS):
        lo = max(0, hi - _RANKS)
        if hi < len(left):
            left[lo:hi] -= factor[hi:, lo:hi].T @ left[hi:]
        inner = np.ascontiguousarray(factor[lo:hi, lo:hi].numpy())
        code_back(left[lo:hi].numpy(), inner, bits[lo:hi], STEP, AROUND, INSIDE, out[lo:hi].numpy())
    _floats(out, codes)
    return out


def alone(values: torch.Tensor, codes: Sequence[Code]) -> torch.Tensor:
    """`fed` where the other factor's columns are orthonormal: every rank of values (rank, length) for itself."""
    import torch

    from deltakit.compress.fit.kernels.feedback import code_back

    bits = np.array([code if isinstance(code, int) else 0 for code in codes], np.int64)
    left = values.cpu().contiguous().clone()
    out, one = torch.empty_like(left), np.ones((1, 1), left.numpy().dtype)
    for k in range(len(left)):
        at = slice(k, k + 1)
        code_back(left[at].numpy(), one, bits[at], STEP, AROUND, INSIDE, out[at].numpy())
    _floats(out, codes)
    return out


def _floats(out: torch.Tensor, codes: Sequence[Code]) -> None:
    """Ranks that are stored as floats: unit vectors, rounded."""
    import torch

    for k, code in enumerate(codes):
        if code in FLOAT_DTYPES:
            length = float(torch.linalg.vector_norm(out[k], dtype=torch.float64)) or 1.0
            unit: NDArray[Any] = (out[k] / length).float().numpy()
            out[k] = torch.from_numpy(rounded(unit, str(code)))
