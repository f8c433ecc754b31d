"""Multi-SLERP against whole tensors in float64, by its tangent plane."""

import numpy as np
import pytest

from deltakit.errors import RecipeError
from support.merging import plan, store, values
from support.spheres import check_against, relatives, unit

WEIGHTS = np.array([0.3, 0.9, 0.5])


def tangent(vectors, weights):
    """As the method is told: project onto the tangent plane at the mean direction, average, go back to the sphere."""
    units = np.array([unit(v) for v in vectors])
    middle = unit(weights @ units)
    step = weights @ (units - np.outer(units @ middle, middle))
    size = np.linalg.norm(step)
    reached = middle if size < 1e-9 else np.cos(size) * middle + np.sin(size) / size * step
    return reached * (weights @ [np.linalg.norm(v) for v in vectors])


@pytest.mark.parametrize("dtype", ["BF16", "F32"])
@pytest.mark.parametrize("based", [True, False])
@pytest.mark.parametrize("normalize", [True, False])
def test_mean_direction_at_mean_length(normalize, based, dtype, tmp_path):
    base, models, origin, where = relatives(tmp_path, dtype, 3)
    items = [{"model": m, "weight": w} for m, w in zip(where, WEIGHTS, strict=True)]
    made = plan("multislerp", origin if based else None, items, normalize=normalize).tensors
    weights = WEIGHTS / WEIGHTS.sum() if normalize else WEIGHTS
    check_against(lambda v: tangent(v, weights), made, models, dtype, base if based else None)


def test_directions_that_cancel_are_summed(tmp_path):
    a, b = np.float32([1, 2, 3]), np.float32([-1, -2, -3])
    where = [store(tmp_path / n, {"t": v}) for n, v in (("a", a), ("b", 4 * b))]
    assert values(plan("multislerp", None, where).tensors)["t"] == pytest.approx(0.5 * a + 2 * b)


def test_a_zero_tensor_has_no_direction_but_a_length(tmp_path):
    a = np.float32([3, 4])
    where = [store(tmp_path / n, {"t": v}) for n, v in (("a", a), ("zero", 0 * a))]
    assert values(plan("multislerp", None, where).tensors)["t"] == pytest.approx(a / 2)


def test_weights_that_cancel_are_refused(tmp_path):
    _, _, origin, where = relatives(tmp_path, "F32", 2)
    with pytest.raises(RecipeError, match="sum to 0"):
        plan("multislerp", origin, [{"model": where[0], "weight": 1.0}, {"model": where[1], "weight": -1.0}])
