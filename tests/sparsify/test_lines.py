"""Scaling by depth."""

import numpy as np
import pytest

from deltakit.errors import RecipeError
from deltakit.sparsify.lines import Lines
from support.flows import collect, flow

NAMES = {
    "model.embed_tokens.weight": 0.2,
    "model.layers.0.mlp.experts.3.w": 0.2,
    "model.layers.1.mlp.w": 0.5,
    "model.layers.2.mlp.w": 0.8,
    "vision.blocks.0.w": 0.2,
    "vision.blocks.1.w": 0.8,
    "lone.layers.0.w": 0.2,
    "lm_head.weight": 0.2,
}


def test_layers_rise_from_alpha_to_alpha_and_beta():
    made = collect(Lines(0.2, 0.6).on(flow({n: np.ones((2, 3)) for n in NAMES})))
    assert {n: float(v[0, 0]) for n, v in made.items()} == pytest.approx(NAMES)
    assert all((v == v[0, 0]).all() for v in made.values())


def test_all_layers_times_one_is_nothing():
    assert Lines(1.0, 0.0).idle
    assert Lines(1.0, 0.0).unbiased
    assert not Lines(1.0, 0.1).idle


@pytest.mark.parametrize(("alpha", "beta"), [(float("nan"), 0.0), (0.0, float("inf"))])
def test_what_is_no_number(alpha, beta):
    with pytest.raises(RecipeError, match="not finite"):
        Lines(alpha, beta)
