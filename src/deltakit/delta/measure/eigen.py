"""The leading eigenvectors of Gram matrices, in float32 where that is safe: half the time of float64.

A float32 eigensolver mixes directions whose eigenvalues lie within about 1e-7 of the largest. So the few directions
that stand far above the others are taken out first (block power iteration in float64, kept where they have settled),
which leaves a spectrum that float32 can hold. Where that is too wide still, or most directions are wanted: float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["Eigen", "Gram", "leading"]

Eigen = tuple["torch.Tensor", "torch.Tensor"]
Gram = Callable[["torch.dtype"], "torch.Tensor"]

_SAFE = 3.2e-4  # kept over largest eigenvalue, at least: then what is lost lies under 1e-6 of what truncation loses
_ROUNDING = 1e-6  # of the largest eigenvalue: what rounding makes of none in a float32 Gram matrix
_TOP = 32  # directions looked at for taking out
_SHARE = 0.75  # of all directions
_STEPS = 4  # of the block power iteration
_SETTLED = 1e-5  # residual over eigenvalue


def leading(grams: Sequence[Gram], size: int, rank: int, double: bool = True, share: float = _SHARE) -> list[Eigen]:
    """For every Gram matrix (size, size), its leading eigenvalues (min(rank, size),), largest first and not below 0,
    and orthonormal columns (size, min(rank, size)) that span their eigenvectors: float64. Without `double` float32
    where that is safe and at most `share` of all directions are wanted: up to three quarters the energy outside of the
    span is the least possible but for 1e-6 of it; beyond, little lies outside, and rounding shows in it.

    A gram is a function that makes the matrix in a dtype. They go in one batch, which is what a GPU wants. Call it
    within `one_thread`.
    """
    import torch

    rank = min(rank, size)
    if not grams or double or rank > share * size or size < 4 * _TOP:
        found = zip(*torch.linalg.eigh(torch.stack([g(torch.float64) for g in grams])), strict=True) if grams else ()
        return [(w[size - rank :].flip(0).clamp_min(0), v[:, size - rank :].flip(1)) for w, v in found]
    narrow = [g(torch.float32) for g in grams]
    tops = [_top(g.double()) for g in narrow]
    values, vectors = torch.linalg.eigh(torch.stack([_without(g, v) for g, (_, v) in zip(narrow, tops, strict=True)]))
    made = []
    for gram, (above, top), w, v in zip(grams, tops, values, vectors, strict=True):
        rest = max(0, rank - top.shape[1])
        kept = torch.cat([above.float(), w[size - rest :].flip(0)])[:rank].clamp_min(0)
        if rest and not float(kept[-1]) >= max(_SAFE * float(w[-1]), _ROUNDING * float(kept[0])):
            made += leading([gram], size, rank)
        else:
            made.append((kept, torch.cat([top[:, :rank].float(), v[:, size - rest :].flip(1)], dim=1)))
    return made


def _top(gram: torch.Tensor) -> Eigen:
    """Those of the leading eigenvalues and eigenvectors that a few steps settle, up to _TOP, float64, largest first."""
    import torch

    start = torch.randn((len(gram), _TOP), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    basis = start.to(gram.device)
    for _ in range(_STEPS):
        basis = torch.linalg.qr(gram @ basis)[0]
    image = gram @ basis
    values, turn = torch.linalg.eigh(basis.T @ image)
    values, basis, image = values.flip(0), basis @ turn.flip(1), image @ turn.flip(1)
    settled = torch.linalg.vector_norm(image - basis * values, dim=0) <= _SETTLED * values
    kept = int(settled.long().cumprod(0).sum())
    return values[:kept], basis[:, :kept]


def _without(gram: torch.Tensor, top: torch.Tensor) -> torch.Tensor:
    """P gram P with P = 1 - top topᵀ, computed in float64, rounded to float32."""
    import torch

    image = gram.double() @ top
    half = image - top @ (top.T @ image / 2)
    rest: torch.Tensor = (gram - torch.cat([half, top], dim=1) @ torch.cat([top, half], dim=1).T).float()
    return rest
