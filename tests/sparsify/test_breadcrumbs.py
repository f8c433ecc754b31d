"""Breadcrumbs, row by row and tensor by tensor."""

import numpy as np
import pytest

from deltakit.errors import RecipeError
from deltakit.sparsify.breadcrumbs import Breadcrumbs
from support.flows import collect, flow


def by_sorting(values, density, gamma):
    """The authors' two steps on one vector: the outliers to zero, then the largest of the rest."""
    n, made = values.size, np.zeros_like(values)
    kept = min(n, max(1, int(density * n)))
    order = np.argsort(-np.abs(values), kind="stable")[min(int(gamma * n), n - kept) :][:kept]
    made[order] = values[order]
    return made


@pytest.mark.parametrize(("density", "gamma"), [(0.3, 0.1), (0.05, 0.3), (0.97, 0.2), (0.5, 0.0)])
@pytest.mark.parametrize("levels", [2, 1000])
def test_against_sorting(density, gamma, levels):
    values = np.random.default_rng(3).integers(-levels, levels, (12, 3, 20)).astype(np.float32)
    rows = collect(Breadcrumbs(density, gamma).on(flow({"t": values})), max_bytes=250)["t"]
    assert np.array_equal(rows, np.apply_along_axis(by_sorting, -1, values, density, gamma))
    whole = collect(Breadcrumbs(density, gamma, "tensor").on(flow({"t": values})), max_bytes=250)["t"]
    assert np.array_equal(whole.ravel(), by_sorting(values.ravel(), density, gamma))


@pytest.mark.parametrize("scope", ["row", "tensor"])
@pytest.mark.parametrize("gamma", [0.0, 1e-4, 0.999])
@pytest.mark.parametrize("shape", [(5, 4), (63,), (1,), (), (3, 1)])
def test_no_gamma_empties_a_delta(scope, gamma, shape):
    """None, one that amounts to less than an element, one that density absorbs."""
    values = np.random.default_rng(4).standard_normal(shape)
    made = collect(Breadcrumbs(0.5, gamma, scope).on(flow({"t": values})))["t"]
    rows = 1 if scope == "tensor" or len(shape) < 2 else shape[0]
    assert np.count_nonzero(made) == rows * max(1, int(0.5 * (made.size // rows)))


@pytest.mark.parametrize("scope", ["row", "tensor"])
def test_a_tiny_density_keeps_one_element(scope):
    made = collect(Breadcrumbs(1e-6, 0.1, scope).on(flow({"t": np.arange(1.0, 11)})))["t"]
    assert made.tolist() == [0.0] * 8 + [9.0, 0.0]


def test_each_expert_of_a_packed_tensor_has_its_own_rows():
    experts = np.random.default_rng(5).standard_normal((4, 6, 10)).astype(np.float32)
    packed = collect(Breadcrumbs(0.4, 0.1).on(flow({"t": experts})))["t"]
    apart = collect(Breadcrumbs(0.4, 0.1).on(flow({str(i): e for i, e in enumerate(experts)})))
    assert all(np.array_equal(packed[i], apart[str(i)]) for i in range(4))


@pytest.mark.parametrize(
    "given",
    [{"density": 1.5, "gamma": 0.1}, {"density": 0.5, "gamma": 1.0}, {"density": 0.5, "gamma": 0, "scope": "x"}],
)
def test_bad_parameters(given):
    with pytest.raises(RecipeError):
        Breadcrumbs(**given)


def test_traits():
    assert Breadcrumbs(1.0, 0.5).idle
    assert not Breadcrumbs(0.5, 0.0).unbiased
