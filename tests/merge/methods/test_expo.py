"""ExPO: aligned + alpha * (aligned - base)."""

import torch

from support.merging import flat, plan
from support.oracles import check


def test_the_paper(stored):
    aligned, base = (torch.from_numpy(flat(m)).double() for m in (stored.models[0], stored.base))
    want = aligned + 0.3 * (aligned - base) - base
    check(plan("expo", stored.where, stored.plain()[:1], alpha=0.3).tensors, stored, want)
