"""CART against the paper, with full SVDs in float64; the base does not matter."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from deltakit.errors import RecipeError
from deltakit.merge import METHODS
from support.matrices import EXPERTS, MATRICES, SHAPES, WEIGHTS, flat_svd, models
from support.merging import plan, values


def centred(thetas: list[torch.Tensor], rank: float, scale: float) -> torch.Tensor:
    mean = sum(w * t for w, t in zip(WEIGHTS, thetas, strict=True)) / sum(WEIGHTS)
    k = math.ceil(rank * min(mean.shape))
    total = mean.clone()
    for weight, theta in zip(WEIGHTS, thetas, strict=True):
        u, s, v = (f[..., :k] for f in flat_svd(theta - mean))
        total += scale * weight * (u * s) @ v.T
    return total


@pytest.mark.parametrize("based", [True, False])
@pytest.mark.parametrize("rank", [0.04, 0.5, 1.0])
def test_agrees_with_the_paper(tmp_path: Path, rank: float, based: bool) -> None:
    _, tuned, where, items = models(tmp_path)
    made = values(plan("cart", where if based else None, items, rank=rank, scale=0.7).tensors)
    for name in SHAPES:
        thetas = [torch.from_numpy(m[name]).double() for m in tuned]
        if name in MATRICES:
            want = centred(thetas, rank, 0.7)
        elif name == EXPERTS:
            want = torch.stack([centred([t[e] for t in thetas], rank, 0.7) for e in range(len(thetas[0]))])
        else:
            want = sum(w * t for w, t in zip(WEIGHTS, thetas, strict=True)) / sum(WEIGHTS)
        assert np.allclose(made[name], want.numpy(), atol=3e-6), name


def test_what_makes_no_mean_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="rank"):
        METHODS.make("cart", rank=0.0)
    with pytest.raises(RecipeError, match="sum to 0"):
        METHODS.make("cart").reduce.check([1.0, -1.0])
