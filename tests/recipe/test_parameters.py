"""Typed parameters of registered factories."""

import pytest

from deltakit.errors import RecipeError
from deltakit.recipe.parameters import make_checked, parse_checked
from deltakit.sparsify import TRANSFORMS
from deltakit.sparsify.drop import Drop


def test_values_of_the_right_type_pass():
    assert parse_checked(TRANSFORMS, "drop(density=1, rescale=False)") == Drop(1.0, rescale=False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"density": "0.1"}, "density: Input should be a valid number, found '0.1'"),
        ({"density": True}, "density: Input should be a valid number"),
        ({"density": 0.1, "rescale": 1}, "rescale: Input should be a valid boolean"),
        ({"dens": 0.1}, "no parameter 'dens'"),
        ({}, "needs density"),
    ],
)
def test_values_of_the_wrong_type_are_refused(given, said):
    with pytest.raises(RecipeError, match=said):
        make_checked(TRANSFORMS, "drop", given)
