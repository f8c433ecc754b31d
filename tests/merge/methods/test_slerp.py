"""Slerp in both dialects."""

import numpy as np

from deltakit.merge.methods.slerp import mergekit, slerp
from support.flows import collect
from support.stepwise import drawn, grouped, merged


def test_the_dialects_agree_but_for_the_rounding():
    base, models = drawn(1, "F32")
    group = grouped(base, models, "F32", True)
    stepwise, change = merged(mergekit(0.3).reduce, group), collect(slerp(0.3).reduce.over(group))
    assert all(np.allclose(stepwise[n], base[n] + change[n], atol=1e-6) for n in base)
