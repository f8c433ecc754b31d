"""RAM and RAM+ against slow versions: the paper's whole models, mergekit's tensors in the dtype."""

import numpy as np
import pytest
import torch

from support.merging import plan
from support.oracles import TORCH, check, in_mergekit, same_bits


def counts(active):
    """(models, 1) of shared and of unique elements."""
    shared = (active & (active.sum(dim=0) > 1)).flatten(1).sum(dim=1)
    return shared.float(), ((active & (active.sum(dim=0) == 1)).flatten(1).sum(dim=1)).float()


@pytest.mark.parametrize(
    ("method", "given"),
    [("ram", {}), ("ramplus", {"r": 0.3, "alpha": 1.5}), ("ramplus_tl", {"r": 0.3, "alpha": 0.9})],
)
def test_the_paper(stored, method, given):
    active = stored.deltas.abs() > 0.05
    shared, unique = counts(active)
    factor = 1 + given.get("r", 0.0) * (shared / unique).clamp(0, given.get("alpha", 0.0))
    count, taus = active.sum(dim=0), stored.deltas * active
    merged = torch.where(count == 1, (taus * factor[:, None]).sum(dim=0), taus.sum(dim=0) / count.clamp(min=1))
    made = plan(method, stored.where, stored.plain(), epsilon=0.05, scale=0.8, **given).tensors
    check(made, stored, 0.8 * merged)


def test_mergekit(stored):
    found = in_mergekit(stored, "ram", weights=(1.0,) * 3, scale=0.5, epsilon=0.05)

    def compute(taus):
        stack = torch.stack(taus)
        active = stack.abs() > 0.05
        return (stack * active / active.sum(dim=0).clamp(min=1)).sum(dim=0)

    same_bits(found, stored, compute)


def test_mergekit_counts_by_tensor_and_ends_in_float32(stored):
    found = in_mergekit(stored, "ramplus_tl", weights=(1.0,) * 3, epsilon=0.05, r=0.3, alpha=1.5)
    for name, some in found.items():
        base, *models = (torch.from_numpy(np.array(a[name])).to(TORCH[stored.dtype]) for a in all_of(stored))
        stack = torch.stack([m - base for m in models])
        active = stack.abs() > 0.05
        shared, unique = counts(active.reshape(3, -1))
        factor = (1 + 0.3 * (shared / unique.clamp(min=1)).clamp(0, 1.5)).reshape(-1, *[1] * base.dim())
        count = active.sum(dim=0)
        means = stack * active / count.clamp(min=1)
        want = base + torch.where(count == 1, stack * active * factor, means.float()).sum(dim=0)
        assert np.array_equal(some, want.to(TORCH[stored.dtype]).float().numpy()), name


def all_of(stored):
    return (stored.base, *stored.models)
