"""KnOTS with TIES against the paper on whole models, with a full SVD in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from support.matrices import EXPERTS, MATRICES, SHAPES, WEIGHTS, flat_svd, models
from support.merging import plan, values


def elected(taus: list[torch.Tensor], weights: tuple[float, ...]) -> torch.Tensor:
    """The disjoint mean of TIES."""
    stack = torch.stack(taus)
    agree = (torch.sign(stack) == torch.sign(stack.sum(dim=0))) & (stack != 0)
    share = agree * torch.tensor(weights, dtype=torch.float64).reshape(-1, *[1] * (stack.ndim - 1))
    return (share * stack).sum(dim=0) / share.sum(dim=0).clamp(min=1e-12)


def aligned(taus: list[torch.Tensor], weights: tuple[float, ...]) -> torch.Tensor:
    """U times the merge of S V_iᵀ, with [tau_1 ... tau_N] = U S [V_1ᵀ ... V_Nᵀ]."""
    u, s, v = flat_svd(torch.cat(taus, dim=1))
    return u @ elected([torch.diag(s) @ block.T for block in torch.split(v, taus[0].shape[1])], weights)


@pytest.mark.parametrize("count", [2, 3])
def test_agrees_with_the_paper(tmp_path: Path, count: int) -> None:
    base, tuned, where, items = models(tmp_path, count)
    made = values(plan("knots", where, items, scale=0.9).tensors)
    for name in SHAPES:
        start = torch.from_numpy(base[name]).double()
        taus = [torch.from_numpy(m[name]).double() - start for m in tuned]
        if name in MATRICES:
            merged = aligned(taus, WEIGHTS[:count])
        elif name == EXPERTS:
            merged = torch.stack([aligned([t[e] for t in taus], WEIGHTS[:count]) for e in range(len(start))])
        else:
            merged = elected(taus, WEIGHTS[:count])
        assert np.allclose(made[name], (start + 0.9 * merged).numpy(), atol=3e-6), name
