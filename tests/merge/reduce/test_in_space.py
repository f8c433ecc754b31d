"""Methods on coordinates: factors and full matrices agree, sums stay sums, and what needs models is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from deltakit.errors import InputError, RecipeError
from deltakit.merge import METHODS
from deltakit.merge.compute.spaces import CoreSpace, Knots, Space
from deltakit.merge.method import Group, Method
from deltakit.merge.reduce.in_space import InSpace
from deltakit.merge.reduce.weighted_sum import WeightedMean
from deltakit.recipe.parameters import parse_checked
from deltakit.sparsify.flow import Flow
from support.flows import collect, flow

Factors = list[dict[str, tuple[Any, Any]]]
SPACES = pytest.mark.parametrize("space", [Knots(), CoreSpace()], ids=lambda s: s.name)
SHAPES = {"a.weight": (18, 12), "embed_tokens.weight": (30, 8)}


def drawn() -> Factors:
    rng = np.random.default_rng(0)
    return [
        {n: tuple(rng.standard_normal((k, 3)).astype(np.float32) for k in s) for n, s in SHAPES.items()}  # type: ignore[misc]
        for _ in range(3)
    ]


def full(one: dict[str, tuple[Any, Any]]) -> dict[str, Any]:
    return {n: u @ v.T for n, (u, v) in one.items()} | {"norm.weight": np.arange(5.0)}


def group(found: Factors, factored: bool) -> Group:
    flows = [flow(full(f), model=f"m{i}") for i, f in enumerate(found)]
    if factored:
        flows = [replace(made, factors=f.get) for made, f in zip(flows, found, strict=True)]
    return Group(tuple(flows), (1.0, 0.5, 0.25), lambda *_: np.zeros((1, 1), np.float32), 0.9)


def merge(space: Space, merger: str, made: Group) -> dict[str, Any]:
    return collect(InSpace(space, parse_checked(METHODS, merger)).over(made))


@SPACES
@pytest.mark.parametrize("factored", [True, False])
def test_a_sum_is_the_sum(space: Space, factored: bool) -> None:
    found = drawn()
    made = merge(space, "task_arithmetic", group(found, factored))
    for name in made:
        want = 0.9 * sum(w * full(f)[name] for w, f in zip((1.0, 0.5, 0.25), found, strict=True))
        assert np.allclose(made[name], want, atol=1e-4), name


@SPACES
@pytest.mark.parametrize("merger", ["ties(density=1.0)", "iso_c", "tsv_m"])
def test_factors_give_what_matrices_give(space: Space, merger: str) -> None:
    one, two = (merge(space, merger, group(drawn(), factored)) for factored in (True, False))
    if isinstance(space, Knots) or merger != "ties(density=1.0)":  # a core's basis is that of the factors
        assert np.allclose(one["a.weight"], two["a.weight"], atol=2e-3)
    assert np.array_equal(one["norm.weight"], two["norm.weight"])


@pytest.mark.parametrize("merger", ["iso_c", "iso_cts", "tsv_m"])
def test_what_only_sees_singular_vectors_sees_the_same_in_a_core(merger: str) -> None:
    direct = collect(parse_checked(METHODS, merger).reduce.over(group(drawn(), False)))
    made = merge(CoreSpace(), merger, group(drawn(), True))
    assert np.allclose(made["a.weight"], direct["a.weight"], atol=1e-3)


@SPACES
def test_densities_are_shares_of_the_coordinates(space: Space) -> None:
    """Half of 9 x 12 coordinates (KnOTS) or 9 x 9 (cores) is trimmed, not half of 18 x 12 elements."""
    made: list[Flow] = []

    class Seen:
        idle = False

        def on(self, at: Flow) -> Flow:
            made.append(at)
            return at

    merger = parse_checked(METHODS, "ties(density=1.0)")
    InSpace(space, replace(merger, each=(Seen(),))).over(group(drawn(), True))
    assert made[0].specs["a.weight"].shape == ((9, 12) if isinstance(space, Knots) else (9, 9))
    assert made[0].specs["norm.weight"].shape == (5,)
    assert list(made[0].specs) == ["a.weight", "embed_tokens.weight", "norm.weight"]


@SPACES
def test_coefficients_are_the_mergers(space: Space) -> None:
    assert InSpace(space, parse_checked(METHODS, "task_arithmetic")).coefficients([0.3, 0.4]) == (0.3, 0.4)
    assert InSpace(space, parse_checked(METHODS, "ties(density=0.5)")).coefficients([1.0]) is None
    assert InSpace(space, parse_checked(METHODS, "tsv_m")).identity
    assert not InSpace(space, parse_checked(METHODS, "iso_c")).identity


def test_a_merger_of_models_is_refused() -> None:
    with pytest.raises(RecipeError, match="needs models"):
        InSpace(Knots(), Method(WeightedMean()))


def test_what_is_not_finite_is_named() -> None:
    bad = np.full((4, 4), np.nan, np.float32)
    made = Group((flow({"a.weight": bad}), flow({"a.weight": np.eye(4)})), (1.0, 1.0), lambda *_: bad)
    with pytest.raises(InputError, match=r"a\.weight.*not finite"):
        merge(Knots(), "tsv_m", made)
