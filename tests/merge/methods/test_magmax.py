"""MagMax against a slow version on whole models."""

import torch

from support.merging import plan
from support.oracles import check


def test_the_paper(stored):
    taus = stored.deltas
    largest = torch.where(taus.abs() == taus.abs().amax(dim=0), taus, -torch.inf).amax(dim=0)
    check(plan("magmax", stored.where, stored.plain(), scale=0.5).tensors, stored, 0.5 * largest)
