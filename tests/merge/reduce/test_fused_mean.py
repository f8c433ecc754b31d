"""mergekit's mean of models: multiply-adds in float32, one rounding."""

import numpy as np
import pytest
import torch

from deltakit.errors import RecipeError
from deltakit.merge.compute.arithmetic import Arithmetic
from deltakit.merge.method import Group
from deltakit.merge.reduce.fused_mean import FusedMean
from support.flows import collect, flow
from support.oracles import TORCH


@pytest.mark.parametrize("weights", [(0.7, 0.4, -0.3), (0.34, 0.5, 0.0)])  # 0.34 + 0.5 is another float32 than 0.84
@pytest.mark.parametrize("normalize", [True, False])
def test_against_torch(dtype, normalize, weights):
    models = [torch.randn((63, 7), generator=torch.Generator().manual_seed(i)).to(TORCH[dtype]) for i in range(3)]
    flows = tuple(flow({"t": m.float().numpy()}) for m in models)
    group = Group(flows, weights, flows[0].pull, 1.0, tuple(f.pull for f in flows), Arithmetic(dtype))
    total = torch.zeros(63, 7)
    for model, weight in zip(models, weights, strict=True):
        total = torch.add(total, model.float(), alpha=weight)
    want = (total / torch.tensor(weights).sum() if normalize else total).to(TORCH[dtype])
    made = collect(FusedMean(normalize).over(group), max_bytes=100)["t"]
    assert np.array_equal(made, want.float().numpy())


def test_weights_that_cancel_have_no_mean():
    with pytest.raises(RecipeError, match="nothing divides by"):
        FusedMean().check([1.0, -1.0])
    FusedMean(normalize=False).check([1.0, -1.0])


def test_it_is_no_mere_sum():
    assert FusedMean().coefficients((0.5, 0.5)) is None
