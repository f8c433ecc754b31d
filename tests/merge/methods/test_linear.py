"""The weighted mean of models: ours and mergekit's."""

import numpy as np
import pytest
import torch

from deltakit.errors import RecipeError
from support.merging import flat, plan
from support.oracles import TORCH, WEIGHTS, check, in_mergekit


@pytest.mark.parametrize("with_base", [True, False])
@pytest.mark.parametrize("normalize", [True, False])
def test_ours(stored, with_base, normalize):
    total = sum(w * torch.from_numpy(flat(m)).double() for w, m in zip(WEIGHTS, stored.models, strict=True))
    mean = total / sum(WEIGHTS) if normalize else total
    made = plan("linear", stored.where if with_base else None, stored.items, normalize=normalize).tensors
    check(made, stored, mean - torch.from_numpy(flat(stored.base)).double())


@pytest.mark.parametrize("weights", [(0.7, 0.4, 1.3), (1.0, -0.3, 0.5)])
@pytest.mark.parametrize("normalize", [True, False])
def test_mergekit(stored, weights, normalize):
    """Multiply-adds in float32 in the order of the models, rounded to the dtype once."""
    found = in_mergekit(stored, "linear", weights=weights, based=False, normalize=normalize)
    for name, some in found.items():
        total = torch.zeros(some.shape)
        for model, weight in zip(stored.models, weights, strict=True):
            total = torch.add(total, torch.from_numpy(model[name]), alpha=weight)
        want = (total / torch.tensor(weights).sum() if normalize else total).to(TORCH[stored.dtype])
        assert np.array_equal(some, want.float().numpy()), name


def test_weights_that_cancel_are_refused_where_mergekit_writes_nan(stored):
    with pytest.raises(RecipeError, match="nothing divides by"):
        in_mergekit(stored, "linear", weights=(1.0, -0.5, -0.5), based=False)
