"""TIES: the paper's on whole models, mergekit's tensor by tensor in its dtype."""

import numpy as np
import pytest

from support.merging import plan, store, values
from support.oracles import (
    WEIGHTS,
    check,
    elected_mean,
    in_mergekit,
    largest,
    matched,
    same_bits,
    stepwise,
    three,
    trim,
)  # fmt: skip


@pytest.mark.parametrize("density", [0.2, 0.5, 0.01])
def test_the_paper(stored, density):
    merged = 0.8 * elected_mean(trim(stored.deltas, density), WEIGHTS)
    check(plan("ties", stored.where, stored.items, density=density, scale=0.8).tensors, stored, merged)


def test_the_weights_do_not_elect(tmp_path):
    base = store(tmp_path / "base", {"t": np.zeros(4, np.float32)})
    one = {"model": store(tmp_path / "a", {"t": np.float32([3, -3, 1, 0])}), "weight": 0.1}
    two = {"model": store(tmp_path / "b", {"t": np.float32([-1, 1, 1, 2])}), "weight": 9.0}
    made = values(plan("ties", base, [one, two], density=1.0).tensors)["t"]
    assert made == pytest.approx([3, -3, 1, 2])


@pytest.mark.parametrize(("rest", "elected"), [([1, 1, -1], 2.0), ([-1, -1, 1], -2.0), ([1, -1, 0], -2.0)])
def test_a_zero_sum_takes_the_sign_of_the_majority(rest, elected, tmp_path):
    base = store(tmp_path / "base", {"t": np.zeros(4, np.float32)})
    one = store(tmp_path / "a", {"t": np.float32([2, *rest])})
    two = store(tmp_path / "b", {"t": np.float32([-2, *rest])})
    assert values(plan("ties", base, [one, two], density=1.0).tensors)["t"][0] == elected


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("weights", [(0.7, 0.4, 1.3), (1.0, -1.0, 0.5), (1.0, 0.0, 0.5)])
def test_mergekit(stored, weights, normalize):
    densities = [0.37, 0.9, 1e-6]
    found = in_mergekit(stored, "ties", {"density": densities}, weights=weights, scale=0.8, normalize=normalize)

    def compute(taus):
        kept = [largest(t, 0, max(1, int(d * t.numel()))) for t, d in zip(taus, densities, strict=True)]
        return stepwise(kept, weights, normalize=normalize, elect=True, scale=0.8)

    same_bits(found, stored, compute)


@pytest.mark.parametrize("dtype", ["BF16", "F16"])
def test_mergekit_rescales_to_the_norm(tmp_path, dtype):
    stored = three(tmp_path, dtype)
    found = in_mergekit(stored, "ties", {"density": 0.5}, rescale=True)

    def compute(taus):
        kept = [matched(t, largest(t, 0, max(1, int(0.5 * t.numel())))) for t in taus]
        return stepwise(kept, normalize=True, elect=True)

    same_bits(found, stored, compute)


def test_density_zero_in_mergekit_leaves_a_model_out(stored):
    found = in_mergekit(stored, "ties", {"density": [0.0, 1.0, 1.0]})
    same_bits(found, stored, lambda taus: stepwise([taus[0] * 0, *taus[1:]], normalize=True, elect=True))
