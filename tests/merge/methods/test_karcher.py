"""The Karcher mean against the iteration on whole tensors in float64."""

import numpy as np
import pytest

from deltakit.errors import RecipeError
from deltakit.merge.methods.karcher import mergekit
from support.merging import plan, store, values
from support.spheres import check_against, relatives, unit
from support.stepwise import drawn, grouped, merged


def mean(vectors, weights, iterations=10, tolerance=1e-5):
    """Logarithms at the point reached, averaged, and the exponential of that, on whole vectors."""
    units = [unit(v) for v in vectors]
    at = unit(sum(w * u for w, u in zip(weights, units, strict=True)))
    for _ in range(iterations):
        step = np.zeros_like(at)
        for w, u in zip(weights, units, strict=True):
            angle = np.arccos(np.clip(u @ at, -1, 1))
            if u.any() and angle > 1e-9:
                step += w * angle / np.sin(angle) * (u - (u @ at) * at)
        size = np.linalg.norm(step)
        if size < tolerance:
            break
        at = unit(np.cos(size) * at + np.sin(size) / size * step)
    return at * sum(w * np.linalg.norm(v) for w, v in zip(weights, vectors, strict=True))


@pytest.mark.parametrize("dtype", ["BF16", "F32"])
@pytest.mark.parametrize("based", [True, False])
def test_equal_weights(based, dtype, tmp_path):
    _, models, origin, where = relatives(tmp_path, dtype, 3)
    made = plan("karcher", origin if based else None, where).tensors
    check_against(lambda v: mean(v, [1 / 3] * 3), made, models, dtype)  # a base has no part in it


@pytest.mark.parametrize("iterations", [0, 1, 50])
def test_weights_and_iterations(iterations, tmp_path):
    _, models, _, where = relatives(tmp_path, "F32", 3)
    items = [{"model": m, "weight": w} for m, w in zip(where, (3.0, 1.0, 0.0), strict=True)]
    made = plan("karcher", None, items, iterations=iterations, tolerance=1e-9).tensors
    check_against(lambda v: mean(v, [0.75, 0.25, 0.0], iterations, 1e-9), made, models, "F32")


def test_two_models_meet_halfway_on_the_arc(tmp_path):
    where = [store(tmp_path / n, {"t": np.float32(v)}) for n, v in (("a", [2, 0]), ("b", [0, 4]))]
    assert values(plan("karcher", None, where).tensors)["t"] == pytest.approx(3 * np.sqrt([0.5, 0.5]))


def test_opposite_models_have_no_middle_but_the_straight_one(tmp_path):
    where = [store(tmp_path / n, {"t": np.float32(v)}) for n, v in (("a", [1, 2]), ("b", [-3, -6]))]
    assert values(plan("karcher", None, where).tensors)["t"] == pytest.approx([-1, -2])


def test_what_is_refused(tmp_path):
    _, _, origin, where = relatives(tmp_path, "F32", 2)
    with pytest.raises(RecipeError, match="from 0 up"):
        plan("karcher", origin, [{"model": where[0], "weight": -1.0}, {"model": where[1], "weight": 3.0}])
    with pytest.raises(RecipeError, match="tolerance"):
        plan("karcher", origin, where, tolerance=0.0)


@pytest.mark.parametrize("dtype", ["BF16", "F32"])
@pytest.mark.parametrize("based", [True, False])
def test_in_mergekit_all_count_alike_and_so_does_a_base(based, dtype):
    base, models = drawn(2, dtype)
    made = merged(mergekit(max_iter=3).reduce, grouped(base, models, dtype, based, (0.1, 5.0)))
    taken = [*models, *([base] if based else [])]
    for name, some in made.items():
        vectors = [m[name].astype(np.float64).ravel() for m in taken]
        want = mean(vectors, [1 / len(taken)] * len(taken), 3).reshape(some.shape)
        assert np.allclose(some, want, rtol=2**-20 if dtype == "F32" else 2**-8, atol=1e-6)
