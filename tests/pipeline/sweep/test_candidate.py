"""Candidates: expressions where linear, recipes where not, equal keys for equal models."""

from pathlib import Path

import pytest

from deltakit.errors import RecipeError
from deltakit.merge.plan.recipe import merge_recipe
from deltakit.pipeline.sweep.candidate import make_candidate, recipe_text, spelled
from deltakit.pipeline.sweep.space import make_space
from deltakit.recipe import read_recipe

MERGE = {"base": "b", "models": [{"name": "math", "model": "m"}, {"model": "c"}]}
SPACE = make_space(MERGE, {"lambda": [0.5, 1.0], "models.math.weight": [1, 0.5]})


def test_a_linear_one_is_an_expression() -> None:
    made = make_candidate(SPACE, {"lambda": 0.5, "models.math.weight": 1}, "c001")
    assert made.expression == "b + 0.5*m + 0.5*c"
    assert made.operand(Path("there")) == made.expression


def test_another_is_its_recipe() -> None:
    made = make_candidate(SPACE, {"lambda": 0.5, "models.math.weight": 1}, "c001", linear=False)
    assert made.expression is None
    assert made.operand(Path("there")) == "there/c001.yaml"
    ties = make_space({**MERGE, "method": "ties"}, {"density": [0.2]})
    assert make_candidate(ties, {"density": 0.2}, "c002").expression is None


@pytest.mark.parametrize("linear", [True, False])
def test_equal_models_have_equal_keys(linear: bool) -> None:
    def key(scale: float, weight: float) -> str:
        return make_candidate(SPACE, {"lambda": scale, "models.math.weight": weight}, "x", linear=linear).key

    assert key(0.5, 1) == key(0.5, 1.0)
    assert len({key(0.5, 1), key(1.0, 1), key(0.5, 0.5)}) == 3
    one = make_space(MERGE, {"lambda": [1], "models.math.weight": [1], "models.c.weight": [1]})
    half = {"lambda": 1, "models.math.weight": 0.5, "models.c.weight": 0.5}
    assert (make_candidate(one, half, "x", linear=linear).key == key(0.5, 1)) is linear


def test_parameters_that_do_not_fit_name_the_settings() -> None:
    dare = make_space({**MERGE, "method": "dare_linear"}, {"density": [1.5]})
    with pytest.raises(RecipeError, match=r"density=1.5: .*density"):
        make_candidate(dare, {"density": 1.5}, "x")
    linear = make_space({**MERGE, "method": "linear"}, {"models.math.weight": [-1]})
    with pytest.raises(RecipeError, match=r"models.math.weight=-1: weights -1, 1 sum to 0"):
        make_candidate(linear, {"models.math.weight": -1}, "x")


def test_its_recipe_is_one_that_merging_reads() -> None:
    made = make_candidate(SPACE, {"lambda": 0.1, "models.math.weight": 1e-7}, "c001")
    text = recipe_text(made.document, "two\nlines")
    assert text.startswith("# two lines\ndeltakit: 1\n")
    found = read_recipe(text, merge_recipe())
    assert (found.lambda_, found.models[0].weight) == (0.1, 1e-7)
    assert spelled(made.settings) == "lambda=0.1, models.math.weight=1e-07"
    assert spelled({"method": "ties", "normalize": False}) == "method=ties, normalize=False"
