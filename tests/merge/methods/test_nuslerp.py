"""NuSLERP against whole tensors in float64."""

import numpy as np
import pytest

from deltakit.errors import RecipeError
from support.merging import plan, values
from support.spheres import bend, check_against, relatives

WEIGHTS = (0.3, 0.9)


def weighted(where):
    return [{"model": m, "weight": w} for m, w in zip(where, WEIGHTS, strict=True)]


@pytest.mark.parametrize("dtype", ["BF16", "F32"])
@pytest.mark.parametrize("based", [True, False])
def test_the_arc_of_whole_tensors(based, dtype, tmp_path):
    base, models, origin, where = relatives(tmp_path, dtype, 2)
    made = plan("nuslerp", origin if based else None, weighted(where)).tensors
    check_against(lambda v: bend(*v, 0.75), made, models, dtype, base if based else None)


@pytest.mark.parametrize(("vectors", "axis"), [("row", -1), ("column", -2)])
@pytest.mark.parametrize("based", [True, False])
def test_the_arc_of_each_row_or_column(based, vectors, axis, tmp_path):
    base, models, origin, where = relatives(tmp_path, "F32", 2)
    found = values(plan("nuslerp", origin if based else None, weighted(where), vectors=vectors).tensors)
    for name, some in found.items():
        start = base[name].astype(np.float64) if based else np.zeros(some.shape)
        a, b = (m[name] - start for m in models)
        if some.ndim < 2:
            want = bend(a.ravel(), b.ravel(), 0.75).reshape(some.shape)
        else:
            a, b = np.moveaxis(a, axis, -1), np.moveaxis(b, axis, -1)
            want = np.empty_like(a)
            for at in np.ndindex(a.shape[:-1]):
                want[at] = bend(a[at], b[at], 0.75)
            want = np.moveaxis(want, -1, axis)
        assert np.allclose(some, start + want, atol=2e-6), name


def test_no_weight_at_all_is_halfway(tmp_path):
    _, models, _, where = relatives(tmp_path, "F32", 2)
    made = plan("nuslerp", None, [{"model": m, "weight": 0.0} for m in where]).tensors
    check_against(lambda v: bend(*v, 0.5), made, models, "F32")


def test_what_is_refused(tmp_path):
    _, _, origin, where = relatives(tmp_path, "F32", 3)
    with pytest.raises(RecipeError, match="two models"):
        plan("nuslerp", origin, where)
    with pytest.raises(RecipeError, match="from 0 up"):
        plan("nuslerp", origin, [{"model": where[0], "weight": -1.0}, {"model": where[1]}])
    with pytest.raises(RecipeError, match="vectors"):
        plan("nuslerp", origin, where[:2], vectors="rows")
