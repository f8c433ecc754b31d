"""DARE with TIES: dropping comes before trimming. Its mergekit form is tested beside dare_linear's."""

import pytest

from support.merging import plan
from support.oracles import WEIGHTS, check, drop, elected_mean, trim


@pytest.mark.parametrize("trim_density", [None, 0.5])
def test_the_paper(stored, trim_density):
    merged = 0.9 * elected_mean(trim(drop(stored, 0.6, 7), trim_density or 0.2), WEIGHTS)
    given = {} if trim_density is None else {"trim_density": trim_density}
    made = plan("dare_ties", stored.where, stored.items, density=0.6, scale=0.9, seed=7, **given)
    check(made.tensors, stored, merged)
