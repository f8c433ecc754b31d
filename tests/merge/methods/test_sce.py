"""SCE against slow versions on whole tensors: ours in float64, mergekit's in the dtype."""

import numpy as np
import pytest
import torch

from support.merging import flat, plan
from support.oracles import check, in_mergekit, same_bits, three


def select(stack, topk):
    """Only the positions of largest variance, of those that tie the first."""
    if topk == 1 or not stack.numel():
        return stack
    variance = stack.double().var(dim=0, unbiased=False).to(stack.dtype)
    count = int(topk * torch.count_nonzero(variance))
    order = torch.argsort(variance.flatten().float(), descending=True, stable=True)
    mask = torch.zeros(variance.numel(), dtype=torch.bool)
    mask[order[:count]] = True
    return stack * mask.view_as(variance)


@pytest.mark.parametrize("topk", [0.1, 0.5, 1.0])
def test_the_paper(stored, topk):
    made = {}
    for name, base in stored.base.items():
        taus = select(torch.stack([torch.from_numpy(np.array(m[name] - base)) for m in stored.models]), topk).double()
        squares = (taus**2).reshape(3, -1).sum(dim=1)
        weights = (squares / squares.sum().clamp(min=1e-30)).reshape(-1, *[1] * base.ndim)
        total = taus.sum(dim=0)
        agree = (total == 0) | (taus.sign() == total.sign())
        share = (weights * agree).sum(dim=0)
        made[name] = ((weights * agree * taus).sum(dim=0) / share.clamp(min=1e-30)).numpy()
    found = plan("sce", stored.where, stored.plain(), select_topk=topk, scale=0.5).tensors
    check(found, stored, 0.5 * torch.from_numpy(flat(made)))


@pytest.mark.parametrize("dtype", ["BF16", "F16"])
@pytest.mark.parametrize("topk", [0.3, 1.0])
def test_mergekit(tmp_path, dtype, topk):
    stored = three(tmp_path, dtype)
    found = in_mergekit(stored, "sce", weights=(1.0,) * 3, scale=0.5, select_topk=topk)

    def compute(taus):
        if not taus[0].numel():
            return taus[0]
        stack = select(torch.stack(taus), topk)
        squares = (stack**2).reshape(3, -1).mean(dim=1)
        total = squares.sum()
        weights = squares / total if total >= 1e-6 else torch.full_like(squares, 1 / 3)
        weights = weights.reshape(-1, *[1] * taus[0].dim())
        agree = stack.sign() == torch.where(stack.sum(dim=0) >= 0, 1, -1).to(stack.dtype)
        return (stack * weights * agree).sum(dim=0) / (weights * agree).sum(dim=0).clamp(min=1e-6)

    same_bits(found, stored, compute)
