"""Recipes of ours in another dialect: the same blocks and checks as a config."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deltakit.errors import RecipeError
from deltakit.merge.plan.assemble import Assembly
from deltakit.merge.plan.native import needs_blueprint, plan_native, plan_recipe
from deltakit.merge.plan.plan import Plan
from deltakit.merge.plan.recipe import merge_recipe
from support.merging import family, flat, recipe, values


def test_a_recipe_in_the_papers_arithmetic_needs_none(tmp_path: Path) -> None:
    base, models = family(tmp_path, 2)
    assert isinstance(plan_recipe(recipe("ties", base, models)), Plan)
    assert isinstance(plan_recipe(recipe("ties", base, models, dialect="mergekit")), Assembly)
    assert needs_blueprint(recipe("ties", base, models, chat_template="auto"))


def test_the_dialect_rounds_where_its_tool_does(tmp_path: Path) -> None:
    base, models = family(tmp_path, 2, "BF16", size=1.0)
    items = [{"model": m, "weight": 0.3} for m in models]
    ours = flat(values(plan_recipe(recipe("task_arithmetic", base, items)).tensors))
    theirs = flat(values(plan_recipe(recipe("task_arithmetic", base, items, dialect="mergekit")).tensors))
    assert not np.array_equal(ours, theirs)
    assert np.allclose(ours, theirs, rtol=2**-6, atol=2**-6)


def test_a_pair_without_a_base_goes_from_the_first_to_the_second(tmp_path: Path) -> None:
    _, models = family(tmp_path, 2)
    made = plan_native(recipe("slerp", None, models, t=1.0, dialect="mergekit"))
    want = flat(values(plan_recipe(recipe("slerp", None, models, t=1.0)).tensors))
    assert np.allclose(flat(values(made.tensors)), want, atol=1e-5)


def test_deltas_and_expressions_count_as_the_models_they_describe(tmp_path: Path) -> None:
    base, models = family(tmp_path, 1)
    made = plan_native(recipe("linear", base, [f"{base} + 0.5*{models[0]}"], dialect="mergekit"))
    assert made.sources[f"{base} + 0.5*{models[0]}"].text == f"{base} + 0.5*{models[0]}"


@pytest.mark.parametrize("key", [{"vocabulary": "base"}, {"heads": "base"}])
def test_what_a_blueprint_has_no_words_for_is_refused(key: dict[str, str], tmp_path: Path) -> None:
    base, models = family(tmp_path, 2)
    with pytest.raises(RecipeError, match="cannot stand beside"):
        plan_native(recipe("ties", base, models, dialect="mergekit", **key))


def test_parameters_are_those_of_the_dialect(tmp_path: Path) -> None:
    base, models = family(tmp_path, 2)
    assert "normalize" in merge_recipe().model_fields
    assert plan_native(recipe("ties", base, models, dialect="mergekit", normalize=False))
    with pytest.raises(RecipeError, match="has no parameter 't'"):
        plan_native(recipe("ties", base, models, dialect="mergekit", t=0.5))


def test_two_models_of_one_name_and_none_at_all(tmp_path: Path) -> None:
    base, models = family(tmp_path, 1)
    with pytest.raises(RecipeError, match="two models are called"):
        plan_native(recipe("ties", base, [models[0], models[0]], dialect="mergekit"))
    with pytest.raises(RecipeError, match="at least one model"):
        plan_native(recipe("ties", base, [], dialect="mergekit"))
