"""DARE with task arithmetic: the paper's rescaling, and mergekit's by norms."""

import numpy as np
import pytest
import torch

from deltakit import rng
from support.merging import flat, plan
from support.oracles import NAMES, check, drop, in_mergekit, matched, same_bits, stepwise, three


def masks(taus, name, density):
    """The kept elements of one tensor of each model."""
    kept = [rng.keep_mask(rng.key(42, m, name), 0, t.numel(), density) for m, t in zip(NAMES, taus, strict=True)]
    return [torch.from_numpy(k).view_as(t) for k, t in zip(kept, taus, strict=True)]


def test_the_paper(stored):
    merged = 0.5 * (stored.weighted * drop(stored, 0.3, 7)).sum(dim=0)
    check(plan("dare_linear", stored.where, stored.items, density=0.3, scale=0.5, seed=7).tensors, stored, merged)


@pytest.mark.parametrize("dtype", ["BF16", "F16"])
@pytest.mark.parametrize("rescale", [True, False])
@pytest.mark.parametrize(("method", "elect"), [("dare_linear", False), ("dare_ties", True)])
def test_mergekit(tmp_path, dtype, method, elect, rescale):
    stored = three(tmp_path, dtype)
    found = in_mergekit(stored, method, {"density": 0.4}, scale=0.9, rescale=rescale)
    for name in found:

        def compute(taus, name=name):
            kept = [t * m for t, m in zip(taus, masks(taus, name, 0.4), strict=True)]
            kept = [matched(t, k) for t, k in zip(taus, kept, strict=True)] if rescale else kept
            return stepwise(kept, elect=elect, scale=0.9)

        same_bits({name: found[name]}, stored, compute)


@pytest.mark.parametrize("method", ["dare_linear", "dare_ties", "della", "della_linear"])
def test_density_one_keeps_the_deltas_as_they_are(stored, method):
    found = in_mergekit(stored, method, normalize=False)
    same_bits(found, stored, lambda taus: stepwise(taus, elect=method in ("dare_ties", "della")))


def test_density_zero_in_mergekit_leaves_a_model_out(stored):
    found = in_mergekit(stored, "dare_linear", {"density": [1.0, 0.0, 1.0]})
    same_bits(found, stored, lambda taus: stepwise([taus[0], taus[1] * 0, taus[2]]))


def test_the_share_kept_is_the_density(tmp_path):
    stored = three(tmp_path, "F32", size=1.0)
    found = in_mergekit(stored, "dare_linear", {"density": [0.3, 0.0, 0.0]}, rescale=False)
    moved, could = (flat(found) != flat(stored.base)).sum(), (flat(stored.models[0]) != flat(stored.base)).sum()
    assert moved / could == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / could))
