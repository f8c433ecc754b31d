"""The grid in rounds."""

import pytest

from deltakit.errors import RecipeError
from deltakit.pipeline.sweep import SAMPLERS
from deltakit.pipeline.sweep.grid import Grid
from deltakit.pipeline.sweep.space import make_space
from deltakit.recipe.parameters import parse_checked

MERGE = {"base": "b", "models": [{"model": "m"}]}


@pytest.mark.parametrize(("size", "rounds"), [(64, [5]), (2, [2, 2, 1]), (1, [1] * 5)])
def test_every_point_is_asked_once_in_order(size: int, rounds: list[int]) -> None:
    space = make_space(MERGE, {"lambda": [1, 2, 3, 4, 5]})
    study, seen, sizes = Grid(size).study(space), [], []
    while asked := study.ask():
        sizes.append(len(asked))
        seen += [a["lambda"] for a in asked]
        study.tell([None] * len(asked))
    assert sizes == rounds
    assert seen == [1, 2, 3, 4, 5]


def test_it_is_named_in_recipes() -> None:
    assert parse_checked(SAMPLERS, "grid") == Grid()
    assert parse_checked(SAMPLERS, "grid(round=3)") == Grid(3)
    with pytest.raises(RecipeError, match="round is 0"):
        parse_checked(SAMPLERS, "grid(round=0)")
    with pytest.raises(RecipeError, match="unknown sampler 'gird'"):
        parse_checked(SAMPLERS, "gird")
