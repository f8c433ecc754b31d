"""Model Stock and nearswap rounded step by step, against torch computing in the dtype."""

from itertools import combinations

import numpy as np
import pytest
import torch

from deltakit.errors import RecipeError
from deltakit.merge.reduce.stepwise_pairs import StepwiseModelStock, StepwiseNearswap
from support.stepwise import drawn, grouped, merged, same, tensors

DTYPES = ["BF16", "F16", "F32"]


def stock(base, models, by_row):
    shape, n = base.shape, len(models)
    deltas = [m - base for m in models]
    if not by_row or base.ndim < 2:
        deltas = [d.reshape(1, -1) for d in deltas]
    least = torch.tensor(1e-6, dtype=base.dtype)
    pairs = list(combinations(deltas, 2))
    cosine = torch.stack([(a * b).sum(-1) / torch.maximum(a.norm(dim=-1) * b.norm(dim=-1), least) for a, b in pairs])
    cosine = cosine.mean(0)
    below = cosine * (n - 1) + 1
    t = torch.where(below.abs() > least, cosine * n / below, 0.0).to(base.dtype)[..., None]
    mean = (sum(models) / n).reshape(deltas[0].shape)
    return (t * mean + (1 - t) * base.reshape(deltas[0].shape)).reshape(shape)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("vectors", ["tensor", "row"])
@pytest.mark.parametrize("count", [2, 3])
def test_model_stock(count, vectors, dtype):
    base, models = drawn(count, dtype)
    made = merged(StepwiseModelStock(vectors), grouped(base, models, dtype, True))
    start, some = tensors(base, dtype), [tensors(m, dtype) for m in models]
    same(made, {n: stock(s, [m[n] for m in some], vectors == "row") for n, s in start.items()}, dtype)


def test_opposite_deltas_leave_the_base():
    base, step = np.float32([1, -2, 3]), np.float32([0.5, 0.25, 0])
    models = [{"t": base + step}, {"t": base - step}]
    assert merged(StepwiseModelStock(), grouped({"t": base}, models, "BF16", True))["t"].tolist() == base.tolist()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("t", [0.003, 0.2])
def test_nearswap(t, dtype):
    base, models = drawn(1, dtype)
    made = merged(StepwiseNearswap(t), grouped(base, models, dtype, True))
    want = {}
    for name, first in tensors(base, dtype).items():
        second = tensors(models[0], dtype)[name]
        share = (t / (first - second).abs().clamp(min=1e-6)).clamp(0, 1)
        want[name] = share * second + (1 - share) * first
    for name in want:  # float32 too: nothing is summed
        assert np.array_equal(made[name], want[name].float().numpy())


def test_a_reach_that_is_none():
    with pytest.raises(RecipeError, match="not above 0"):
        StepwiseNearswap(0.0)
