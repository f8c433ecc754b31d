"""Arcee Fusion against whole tensors in torch."""

import numpy as np
import pytest
import torch

import deltakit.merge.reduce.fusion as module
from deltakit.errors import InputError, RecipeError
from deltakit.merge.method import Group
from support.flows import collect, flow
from support.merging import draw, plan, store, tune, values


def fused(first, second):
    a, b = torch.from_numpy(first).double(), torch.from_numpy(second).double()
    if not a.numel():
        return first
    shape = a.shape or (1,)
    a, b = a.reshape(shape), b.reshape(shape)
    p, q = torch.softmax(b, -1), torch.softmax(a, -1)
    importance = (b - a).abs() * (p * (p / q).log()).sum(-1, keepdim=True)
    lower, median, upper = torch.quantile(importance.flatten(), torch.tensor([0.25, 0.5, 0.75], dtype=torch.double))
    kept = importance >= median + 1.5 * (upper - lower)
    return torch.where(kept, b, a).float().numpy().reshape(first.shape)


@pytest.mark.parametrize("dtype", ["BF16", "F32"])
@pytest.mark.parametrize("based", [True, False])
def test_outliers_of_importance_are_kept(based, dtype, tmp_path):
    shapes = {"flat": (40,), "matrix": (31, 17), "experts": (3, 11, 5), "empty": (0, 3)}
    first = draw(0, dtype, shapes)
    second = tune(first, 1, dtype, size=0.5)
    a, b = store(tmp_path / "a", first, dtype), store(tmp_path / "b", second, dtype)
    made = values((plan("arcee_fusion", a, [b]) if based else plan("arcee_fusion", None, [a, b])).tensors)
    for name, some in made.items():
        assert np.allclose(some, fused(first[name], second[name]), atol=1e-6), name
    assert 0 < np.count_nonzero(made["matrix"] != first["matrix"]) < 100


def test_ranges_do_not_matter(tmp_path, monkeypatch):
    first = draw(0, "F32", {"matrix": (31, 17)})
    where = [store(tmp_path / n, m) for n, m in (("a", first), ("b", tune(first, 1)))]
    whole = values(plan("arcee_fusion", None, where).tensors)["matrix"]
    monkeypatch.setattr(module, "_STEP", 80)
    assert np.array_equal(values(plan("arcee_fusion", None, where).tensors)["matrix"], whole)


def test_a_scalar_and_equal_rows_stay_what_they_are(tmp_path):
    first = {"same": np.ones((3, 2), np.float32), "scalar": np.float32(2)}
    where = [store(tmp_path / n, m) for n, m in (("a", first), ("b", {**first, "same": first["same"] + 1}))]
    made = values(plan("arcee_fusion", None, where).tensors)  # softmax does not see a common step: nothing stands out
    assert made["scalar"] == 2
    assert np.array_equal(made["same"], first["same"] + 1)


def test_what_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="no weights"):
        plan("arcee_fusion", None, [{"model": "a", "weight": 0.5}, "b"])


def test_what_is_not_finite_is_refused_by_name():
    bad = flow({"t": np.float32([[np.inf, 1.0]])})
    group = Group((bad,), (1.0,), flow({"t": np.zeros((1, 2))}).pull)
    with pytest.raises(InputError, match="'t'"):
        collect(module.Fusion().over(group))
