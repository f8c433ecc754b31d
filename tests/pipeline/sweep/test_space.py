"""Fields found in a merge by their paths, values put there, combinations in order."""

from typing import Any

import pytest

from deltakit.errors import RecipeError
from deltakit.pipeline.sweep.space import locate, make_space

MERGE: dict[str, Any] = {
    "method": "dare_ties", "base": "models/base", "density": 0.5,
    "models": [{"name": "math", "model": "models/math-1.5"}, {"model": "runs/chat-2"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ("lambda", ("lambda",)),
        ("density", ("density",)),
        ("trim_density", ("trim_density",)),
        ("method", ("method",)),
        ("models.math.weight", ("models", 0, "weight")),
        ("models.models/math-1.5.weight", ("models", 0, "weight")),
        ("models.math-1.5.density", ("models", 0, "density")),
        ("models.1.weight", ("models", 1, "weight")),
        ("models.chat-2.weight", ("models", 1, "weight")),
        ("calibration.samples", ("calibration", "samples")),
    ],
)
def test_a_field_is_found(field: str, place: tuple[Any, ...]) -> None:
    assert locate(MERGE, field) == place


@pytest.mark.parametrize(
    ("field", "meant"),
    [
        ("lamda", "'lambda'"),
        ("parameters.density", "'density'"),
        ("models.math.wieght", "'models.math.weight'"),
        ("models.mth.weight", "'models.math.weight'"),
        ("models.math.model", "models.math"),
        ("epsilon", "known|did you mean"),
        ("base", "known|did you mean"),
        ("models", "known|did you mean"),
    ],
)
def test_a_field_that_is_none_has_a_suggestion(field: str, meant: str) -> None:
    with pytest.raises(RecipeError, match="is no field of the merge") as wrong:
        locate(MERGE, field)
    assert any(word in wrong.value.remedy for word in meant.split("|"))


def test_a_name_that_two_models_answer_to_is_refused() -> None:
    twins = {"models": [{"model": "a/math"}, {"model": "b/math"}]}
    with pytest.raises(RecipeError, match="2 models answer to 'math'"):
        locate(twins, "models.math.weight")


def test_combinations_run_through_the_last_field_first() -> None:
    space = make_space(MERGE, {"lambda": [0.5, 1.0], "models.math.weight": [1, 2, 3]})
    points = list(space.grid())
    assert len(points) == 6
    assert points[:4] == [{"lambda": x, "models.math.weight": y} for x, y in ((0.5, 1), (0.5, 2), (0.5, 3), (1.0, 1))]


def test_settings_are_put_in_place_and_the_merge_stays_as_it_was() -> None:
    space = make_space(MERGE, {"lambda": [0.5], "models.chat-2.weight": [2]})
    made = space.with_settings({"lambda": 0.5, "models.chat-2.weight": 2})
    assert made == {**MERGE, "lambda": 0.5, "models": [MERGE["models"][0], {"model": "runs/chat-2", "weight": 2}]}
    assert "lambda" not in MERGE
    assert "weight" not in MERGE["models"][1]
    recipe = space.recipe({"lambda": 0.5, "models.chat-2.weight": 2})
    assert (recipe.lambda_, recipe.models[1].weight) == (0.5, 2.0)
    assert space.standing() == {"lambda": 1.0, "models.chat-2.weight": 1.0}


def test_settings_of_a_wrong_kind_name_themselves() -> None:
    space = make_space(MERGE, {"lambda": ["much"]})
    with pytest.raises(RecipeError, match="lambda='much': given: lambda"):
        space.recipe({"lambda": "much"})


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(RecipeError, match="2 problems") as wrong:
        make_space(MERGE, {"lamda": [1], "density": []})
    assert "did you mean 'lambda'" in wrong.value.details[0]
    assert "no values" in wrong.value.details[1]
    with pytest.raises(RecipeError, match="search: 'lamda' is no field of the merge"):
        make_space(MERGE, {"lamda": [1]})


def test_a_field_of_a_method_that_is_searched_is_found() -> None:
    merge = {"base": "b", "models": [{"model": "m"}]}
    space = make_space(merge, {"density": [0.5], "method": ["ties", "dare_linear"]})
    assert [space.recipe(s).method for s in space.grid()] == ["ties", "dare_linear"]
    with pytest.raises(RecipeError, match="'density' is no field"):
        make_space(merge, {"density": [0.5]})


def test_one_field_under_two_names_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"models.math.weight and models.0.weight are the same field"):
        make_space(MERGE, {"models.math.weight": [1], "models.0.weight": [2]})


def test_a_grid_needs_values_and_an_end() -> None:
    with pytest.raises(RecipeError, match="lambda: low and high are for a sampler that draws"):
        list(make_space(MERGE, {"lambda": {"low": 0, "high": 1}}).grid())
    wide = {"from": 1, "to": 500, "step": 1}
    with pytest.raises(RecipeError, match="250,000 combinations"):
        next(make_space(MERGE, {"lambda": wide, "seed": wide}).grid())
