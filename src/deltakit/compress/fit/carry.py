"""GPTQ (arXiv 2210.17323) along both sides of a factor: what a code gets wrong, the codes behind it make good.

The squared error of a factor X (rank, length) is tr(E H Eᵀ G) with the other factor's Gram matrix G and, on the side of
the inputs, their second moments H. Its weight matrix G ⊗ H has an inverse with Cholesky factor R_G ⊗ R_H, so the error
of a code goes to all behind it in its rank, to the same place in all ranks behind, and to both: one recursion, of which
GPTQ (G diagonal) and the recursion over ranks (H = 1) are the two ends. What depends on what allows tiles in any order
of ranks and columns, with matrix products between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deltakit.compress.fit.grids import AROUND, INSIDE, STEP
from deltakit.delta.coding.factor import Code
from deltakit.delta.coding.trellis import TRELLIS
from deltakit.tensors import FLOAT_DTYPES, rounded

if TYPE_CHECKING:
    import torch

    from deltakit.compress.fit.whiten import Inputs

__all__ = ["carried", "shares", "unrolled"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]
_RANKS = 32  # coded before the rest is updated, by one product
_COLUMNS = 64


def shares(gram: torch.Tensor) -> Float64:
    """(n, n), rows k: the share of k's error that every j > k takes, R[k, j] / R[k, k] with R the upper Cholesky factor
    of gram⁻¹. By a Cholesky factor from the far end, gram = M Mᵀ with M upper, R = M⁻¹: the inverse is never formed."""
    import torch

    upper = torch.linalg.cholesky(gram.flip(0, 1)).flip(0, 1).contiguous()
    return unrolled(upper)


def unrolled(upper: torch.Tensor) -> Float64:
    """`shares` from M: the rows of M⁻¹, each over its diagonal."""
    import torch

    inverse = torch.linalg.solve_triangular(
        upper, torch.eye(len(upper), dtype=upper.dtype, device=upper.device), upper=True
    )
    made: Float64 = (inverse * torch.diagonal(upper)[:, None]).numpy(force=True)
    return made


def carried(target: Floats, weights: Floats, codes: Sequence[Code], inputs: Inputs | None = None) -> Float32:
    """Code the rows of target (rank, length) in order, with one scale each; gives their stored numbers (length, rank).
    `weights` is `shares` of the other side's Gram matrix; `inputs` the moments along this side, None for white ones.
    Computed in target's dtype; with `inputs` that must be float64."""
    bits = np.array([code if isinstance(code, int) else 0 for code in codes], np.int64)
    left, out = _owned(target.shape, target.dtype), np.empty(target.shape, target.dtype)
    left[:] = target if inputs is None else target[:, inputs.order]
    for lo in range(0, len(left), _RANKS):
        hi = min(lo + _RANKS, len(left))
        inner = np.ascontiguousarray(weights[lo:hi, lo:hi])
        if inputs is None and any(code in TRELLIS for code in codes[lo:hi]):
            _by_trellis(left[lo:hi], inner, codes[lo:hi], out[lo:hi])
        elif inputs is None:
            _rows(left[lo:hi], inner, bits[lo:hi], out[lo:hi])
        else:
            _tiles(left[lo:hi], inner, bits[lo:hi], out[lo:hi], inputs)
        if hi < len(left):
            left[hi:] -= _product(weights[lo:hi, hi:].T, left[lo:hi])
    if inputs is not None:
        straight = np.empty_like(out)
        straight[:, inputs.order] = out
        out = straight
    return _stored(out.T, codes)


def _rows(left: Floats, inner: Floats, bits: NDArray[np.int64], out: Floats) -> None:
    from deltakit.compress.fit.kernels.carry import code_rows

    code_rows(left, inner, bits, STEP, AROUND, INSIDE, out)


def _by_trellis(left: Floats, inner: Floats, codes: Sequence[Code], out: Floats) -> None:
    """`_rows` where some rows are coded by a trellis."""
    from deltakit.compress.fit.trellis import code_column

    for k, code in enumerate(codes):
        if code in TRELLIS:
            out[k], scale = code_column(left[k], TRELLIS[str(code)])
            left[k] -= scale * out[k]
        else:
            bits = np.array([code if isinstance(code, int) else 0], np.int64)
            _rows(left[k : k + 1], np.ones((1, 1), left.dtype), bits, out[k : k + 1])
        left[k + 1 :] -= inner[k, k + 1 :, None] * left[k]


def _tiles(left: Floats, inner: Floats, bits: NDArray[np.int64], out: Floats, inputs: Inputs) -> None:
    """A block of ranks, by tiles of columns. The scales are found before anything is carried within the block, for
    errors that weigh what they do once those before them are made good."""
    from deltakit.compress.fit.kernels.carry import code_tile, search_weighted

    columns, weights = inputs.shares, inputs.weights
    scales = np.zeros(len(left))
    for k, b in enumerate(bits):
        scales[k] = search_weighted(left[k], weights, b, STEP[b], AROUND, INSIDE) if b else 0.0
    own = _owned(left.shape, left.dtype)
    for lo in range(0, left.shape[1], _COLUMNS):
        at = slice(lo, min(lo + _COLUMNS, left.shape[1]))
        before = _product(own[:, :lo], columns[:lo, at])
        tile = left[:, at].copy()
        codes, errors = np.empty_like(tile), np.empty_like(tile)
        code_tile(tile, before, inner, np.ascontiguousarray(columns[at, at]), scales, bits, codes, errors)
        left[:, at], out[:, at], own[:, at] = tile, codes, errors


def _product(a: Floats, b: Floats) -> Floats:
    """a @ b by torch, with the threads that it may have. Both lie in memory that torch owns."""
    import torch

    made: Floats = (torch.from_numpy(a) @ torch.from_numpy(b)).numpy()
    return made


def _owned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Floats:
    """An array in memory that torch owns, always aligned alike: BLAS may look at that, and so might the bits."""
    import torch

    made: Floats = torch.empty(shape, dtype=getattr(torch, dtype.name)).numpy()
    return made


def _stored(values: Floats, codes: Sequence[Code]) -> Float32:
    """The numbers as they are stored: half-odd codes, or floats of unit columns, rounded."""
    out = np.ascontiguousarray(values)
    for k, code in enumerate(codes):
        if code in FLOAT_DTYPES:
            length = float(np.sqrt((out[:, k] ** 2).sum())) or 1.0
            out[:, k] = rounded(out[:, k] / length, str(code))
    return out.astype(np.float32, copy=False)
