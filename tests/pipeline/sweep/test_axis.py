"""What a field may take: lists, ranges in written decimals, bounds; everything else is refused by name."""

import math
from typing import Any

import pytest

from deltakit.errors import RecipeError
from deltakit.pipeline.sweep.axis import Axis, read_axis


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ([0.5, 1], (0.5, 1)),
        (["ties", "linear"], ("ties", "linear")),
        ([True, False], (True, False)),
        ([1, True, None], (1, True, None)),
        ({"from": 0.1, "to": 0.7, "step": 0.1}, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)),
        ({"from": 0.3, "to": 1.0, "step": 0.3}, (0.3, 0.6, 0.9)),
        ({"from": 1, "to": 3, "step": 1}, (1, 2, 3)),
        ({"from": 2, "to": 2, "step": 1}, (2,)),
        ({"from": 1e-4, "to": 2e-4, "step": 1e-4}, (1e-4, 2e-4)),
    ],
)
def test_values(given: Any, values: tuple[Any, ...]) -> None:
    axis = read_axis("f", given)
    assert axis == Axis("f", values)
    assert [type(v) for v in axis.values] == [type(v) for v in values]


def test_bounds() -> None:
    assert read_axis("f", {"low": 0.1, "high": 2, "log": True}) == Axis("f", (), 0.1, 2, True, False)
    assert read_axis("f", {"low": 1, "high": 4, "integer": True}) == Axis("f", (), 1, 4, False, True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "f: no values"),
        (0.5, "f: a single value"),
        ({}, "f: cannot read"),
        ([[1]], r"\[1\] is no plain value"),
        ([0.5, math.nan], "not finite"),
        ([0.5, 0.50], "0.5 is listed twice"),
        ([1, 1.0], "listed twice"),
        ({"from": 0.1, "to": 1}, "step is None"),
        ({"from": 0.1, "to": 1, "step": 0}, "is empty"),
        ({"from": 1, "to": 0.1, "step": 0.1}, "from 1 to 0.1 by 0.1 is empty"),
        ({"from": 0, "to": math.inf, "step": 1}, "to is inf, not finite"),
        ({"from": 0, "to": 1, "step": 1e-6}, "1,000,001 values"),
        ({"from": 0, "to": 1, "stpe": 1}, "no parameter 'stpe'"),
        ({"from": 0, "to": True, "step": 1}, "to is True, no number"),
        ({"low": 1, "high": 1}, "nothing lies between"),
        ({"low": 0, "high": 1, "log": True}, "a logarithm has no 0"),
        ({"low": 0.5, "high": 2, "integer": True}, "not both whole"),
        ({"low": 0, "high": 1, "log": 1}, "log and integer are true or false"),
        ({"low": 0}, "high is None"),
    ],
)
def test_what_is_no_axis(given: Any, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        read_axis("f", given)


def test_numbers_that_rise_are_ordered_and_words_are_not() -> None:
    assert read_axis("f", [1, 2.5]).ordered
    assert not read_axis("f", [2.5, 1]).ordered
    assert not read_axis("f", ["a", "b"]).ordered
    assert not read_axis("f", [False, True]).ordered
