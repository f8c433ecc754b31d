"""The leading eigenvectors of Gram matrices, in float32 where that is safe: half the time of float64.

A float32 eigensolver mixes directions whose eigenvalues lie within about 1e-7 of the largest. So the few directions
that stand far above the others are taken out first (block power iteration in float64, kept where they have settled),
which leaves a spectrum that float32 can hold. Where that is too wide still, or most directions are wanted: float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["leading"]

_SAFE = 3.2e-4  # kept over largest eigenvalue, at least: then what is lost lies under 1e-6 of what truncation loses
_TOP = 32  # directions looked at for taking out
_STEPS = 4  # of the block power iteration
_SETTLED = 1e-5  # residual over eigenvalue


def leading(grams: Sequence[torch.Tensor], rank: int, double: bool = True) -> list[torch.Tensor]:
    """For every Gram matrix (n, n), all of one size and on one device, orthonormal columns (n, min(rank, n)) that span
    its leading eigenvectors: float64, largest first. Without `double` float32 where that is safe; the energy outside of
    the span is then the least possible but for 1e-6 of it.

    Matrices of one size are decomposed in one batch, which is what a GPU wants. Call it within `one_thread`.
    """
    import torch

    if not grams:
        return []
    size = len(grams[0])
    rank = min(rank, size)
    if double or 2 * rank > size or size < 4 * _TOP:
        _, vectors = torch.linalg.eigh(torch.stack([g.double() for g in grams]))
        return [v[:, size - rank :].flip(1) for v in vectors]
    tops = [_top(g.double()) for g in grams]
    values, vectors = torch.linalg.eigh(torch.stack([_without(g, top) for g, top in zip(grams, tops, strict=True)]))
    found = []
    for gram, top, w, v in zip(grams, tops, values, vectors, strict=True):
        rest = max(0, rank - top.shape[1])
        if rest and not float(w[size - rest]) >= _SAFE * float(w[-1]):
            found += leading([gram], rank)
        else:
            found.append(torch.cat([top[:, :rank].float(), v[:, size - rest :].flip(1)], dim=1))
    return found


def _top(gram: torch.Tensor) -> torch.Tensor:
    """Those of the leading eigenvectors that a few steps settle: (n, up to _TOP), float64, largest first."""
    import torch

    start = torch.randn((len(gram), _TOP), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    basis = start.to(gram.device)
    for _ in range(_STEPS):
        basis = torch.linalg.qr(gram @ basis)[0]
    image = gram @ basis
    values, turn = torch.linalg.eigh(basis.T @ image)
    values, basis, image = values.flip(0), basis @ turn.flip(1), image @ turn.flip(1)
    settled = torch.linalg.vector_norm(image - basis * values, dim=0) <= _SETTLED * values
    kept: torch.Tensor = basis[:, : int(settled.long().cumprod(0).sum())]
    return kept


def _without(gram: torch.Tensor, top: torch.Tensor) -> torch.Tensor:
    """P gram P with P = 1 - top topᵀ, computed in float64, rounded to float32."""
    import torch

    image = gram.double() @ top
    half = image - top @ (top.T @ image / 2)
    rest: torch.Tensor = (gram - torch.cat([half, top], dim=1) @ torch.cat([top, half], dim=1).T).float()
    return rest
