"""Singular value calibration against the paper, direction by direction in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from support.matrices import EXPERTS, MATRICES, SHAPES, WEIGHTS, flat_svd, models
from support.merging import plan, values


def calibrated(taus: list[torch.Tensor], alpha: float) -> torch.Tensor:
    merged = 0.8 * sum(w * t for w, t in zip(WEIGHTS, taus, strict=True))
    u, s, v = flat_svd(merged)
    for r in range(len(s)):
        response = u[:, r] @ merged
        ratios = [float(response @ (u[:, r] @ t) / (u[:, r] @ t).square().sum()) for t in taus]
        s[r] *= len(taus) / sum(max(alpha, ratio) for ratio in ratios)
    return u @ torch.diag(s) @ v.T


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_agrees_with_the_paper(tmp_path: Path, alpha: float) -> None:
    base, tuned, where, items = models(tmp_path)
    made = values(plan("svc", where, items, alpha=alpha, scale=0.8).tensors)
    for name in SHAPES:
        start = torch.from_numpy(base[name]).double()
        taus = [torch.from_numpy(m[name]).double() - start for m in tuned]
        if name in MATRICES:
            want = calibrated(taus, alpha)
        elif name == EXPERTS:
            want = torch.stack([calibrated([t[e] for t in taus], alpha) for e in range(len(start))])
        else:
            want = 0.8 * sum(w * t for w, t in zip(WEIGHTS, taus, strict=True))
        assert np.allclose(made[name], (start + want).numpy(), atol=3e-6), name
