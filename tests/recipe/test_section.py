"""Sections are frozen, closed, and take only finite numbers."""

import pydantic
import pytest

from deltakit.recipe.section import Section


class Toy(Section):
    x: float = 0.0


def test_sections_are_closed_and_frozen():
    with pytest.raises(pydantic.ValidationError, match="Extra inputs"):
        Toy(y=1)
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        Toy().x = 1.0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_are_finite(value):
    with pytest.raises(pydantic.ValidationError, match="finite"):
        Toy(x=value)
