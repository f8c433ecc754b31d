"""Task arithmetic: the paper's sum, and mergekit's in its dtype."""

import pytest

from support.merging import plan
from support.oracles import check, in_mergekit, same_bits, stepwise


def test_the_paper(stored):
    merged = 0.6 * (stored.weighted * stored.deltas).sum(dim=0)
    check(plan("task_arithmetic", stored.where, stored.items, scale=0.6).tensors, stored, merged)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("weights", [(0.7, 0.4, 1.3), (1.0, -1.0, 0.0), (1.0, -0.3, 0.5)])
def test_mergekit(stored, weights, normalize):
    found = in_mergekit(stored, "task_arithmetic", weights=weights, scale=0.6, normalize=normalize)
    same_bits(found, stored, lambda taus: stepwise(taus, weights, normalize=normalize, scale=0.6))
