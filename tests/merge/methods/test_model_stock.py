"""Model Stock against the paper's formula on whole tensors in float64."""

from itertools import combinations

import numpy as np
import pytest

from deltakit.errors import RecipeError
from support.merging import draw, plan, store, tune, values
from support.spheres import check_against, unit


def stock(deltas):
    n = len(deltas)
    cosine = max(np.mean([unit(a) @ unit(b) for a, b in combinations(deltas, 2)]), 0.0)
    return n * cosine / (1 + (n - 1) * cosine) * sum(deltas) / n


@pytest.mark.parametrize("dtype", ["BF16", "F32"])
@pytest.mark.parametrize("count", [2, 4])
def test_the_papers_ratio(count, dtype, tmp_path):
    base = draw(0, dtype)
    common = tune(base, 1, dtype)
    models = [tune(common, 2 + i, dtype) for i in range(count)]
    where = [store(tmp_path / f"m{i}", m, dtype) for i, m in enumerate(models)]
    made = plan("model_stock", store(tmp_path / "base", base, dtype), where).tensors
    check_against(stock, made, models, dtype, base)


def test_two_models_as_the_paper_draws_them(tmp_path):
    """cos = 1/2: t = 2 cos / (1 + cos) = 2/3."""
    where = [store(tmp_path / n, {"t": np.float32(v)}) for n, v in (("a", [2, 0]), ("b", [1, np.sqrt(3)]))]
    made = values(plan("model_stock", store(tmp_path / "base", {"t": np.zeros(2, np.float32)}), where).tensors)["t"]
    assert made == pytest.approx(2 / 3 * np.array([1.5, np.sqrt(3) / 2]))


@pytest.mark.parametrize("other", [[-1.0, -2.0], [-2.0, 1.0], [0.0, 0.0]])
def test_deltas_that_share_nothing_leave_the_base(other, tmp_path):
    base = np.float32([0.3, -0.7])
    where = [store(tmp_path / n, {"t": base + np.float32(v)}) for n, v in (("a", [1, 2]), ("b", other))]
    made = values(plan("model_stock", store(tmp_path / "base", {"t": base}), where).tensors)["t"]
    assert made == pytest.approx(base, abs=1e-6)


def test_weights_are_refused(tmp_path):
    with pytest.raises(RecipeError, match="no weights"):
        plan("model_stock", str(tmp_path), [{"model": "a", "weight": 2.0}, {"model": "b"}])
