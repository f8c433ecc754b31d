"""Breadcrumbs: the authors' by rows, mergekit's by tensors, and the defects that ours does not have."""

import numpy as np
import pytest
import torch

from support.merging import flat, plan, values
from support.oracles import (
    WEIGHTS,
    by_row,
    check,
    elected_mean,
    in_mergekit,
    largest,
    matched,
    same_bits,
    stepwise,
    three,
)  # fmt: skip


def band(n, density, gamma):
    kept = max(1, int(density * n))
    first = min(int(gamma * n), n - kept)
    return first, first + kept


def crumbs(stored, density, gamma):
    """The authors': in each row the top gamma to zero, then the top beta of what is left."""
    return torch.stack(
        [
            by_row(stored.base, tau, lambda row: largest(row, *band(row.numel(), density, gamma)))
            for tau in stored.deltas
        ]
    )


def test_the_authors(stored):
    merged = 0.5 * (stored.weighted * crumbs(stored, 0.4, 0.15)).sum(dim=0)
    given = {"density": 0.4, "gamma": 0.15, "scale": 0.5}
    check(plan("breadcrumbs", stored.where, stored.items, **given).tensors, stored, merged)


def test_with_ties(stored):
    merged = 0.5 * elected_mean(crumbs(stored, 0.4, 0.15), WEIGHTS)
    given = {"density": 0.4, "gamma": 0.15, "scale": 0.5}
    check(plan("breadcrumbs_ties", stored.where, stored.items, **given).tensors, stored, merged)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize(("method", "elect"), [("breadcrumbs", False), ("breadcrumbs_ties", True)])
def test_mergekit(stored, method, elect, normalize):
    own = {"density": [0.6, 0.9, 0.3], "gamma": [0.05, 0.2, 0.1]}  # the second gamma has to shrink
    found = in_mergekit(stored, method, own, scale=0.7, normalize=normalize)

    def compute(taus):
        pairs = zip(own["density"], own["gamma"], strict=True)
        kept = [largest(t, *band(t.numel(), *p)) if t.numel() else t for t, p in zip(taus, pairs, strict=True)]
        return stepwise(kept, normalize=normalize, elect=elect, scale=0.7)

    same_bits(found, stored, compute)


def test_mergekit_rescales_to_the_norm(tmp_path):
    stored = three(tmp_path, "BF16")
    found = in_mergekit(stored, "breadcrumbs", {"density": 0.6, "gamma": 0.1}, rescale=True)

    def compute(taus):
        return stepwise([matched(t, largest(t, *band(t.numel(), 0.6, 0.1))) if t.numel() else t for t in taus])

    same_bits(found, stored, compute)


@pytest.mark.parametrize("gamma", [0.0, 1e-5, 0.5])
@pytest.mark.parametrize("method", ["breadcrumbs", "breadcrumbs_ties"])
def test_no_gamma_turns_the_merge_into_the_base(tmp_path, method, gamma):
    stored = three(tmp_path, "F32", size=1.0)
    for made in (
        in_mergekit(stored, method, {"density": 0.6, "gamma": gamma}),
        in_paper(stored, method, density=0.6, gamma=gamma),
    ):
        for name in ("head.weight", "norm.weight", "up.weight", "one.weight"):
            assert np.any(made[name] != stored.base[name]) or np.array_equal(stored.models[0][name], stored.base[name])


def in_paper(stored, method, **given):
    return values(plan(method, stored.where, stored.items, **given).tensors)


def test_density_one_keeps_everything(stored):
    same_bits(in_mergekit(stored, "breadcrumbs"), stored, stepwise)
    assert np.any(flat(in_paper(stored, "breadcrumbs", density=1.0)) != flat(stored.base))
