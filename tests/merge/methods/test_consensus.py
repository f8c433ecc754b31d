"""Consensus task arithmetic against a slow version on whole models."""

import pytest
import torch

from support.merging import plan
from support.oracles import check


@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_the_paper(stored, k):
    taus = stored.deltas
    others = torch.stack([taus[[j for j in range(3) if j != i]].sum(dim=0) for i in range(3)])
    enough = (taus.abs() > 0.5 * others.abs()).sum(dim=0) >= k
    merged = 0.7 * (stored.weighted * taus).sum(dim=0) * enough
    check(plan("consensus", stored.where, stored.items, threshold=0.5, k=k, scale=0.7).tensors, stored, merged)
