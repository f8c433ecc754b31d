"""Parameter values: one, a gradient, choices by name."""

from __future__ import annotations

import pytest

from deltakit.merge.mergekit.setting import Choice, is_gradient, parse_setting, value_at


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (0.5, 0.5),
        (True, True),
        ("1e-4", 1e-4),
        ("yes", True),
        ("Off", False),
        ("mean", "mean"),
        ([0, 0.5], (0, 0.5)),
        ([], ()),
        ({"filter": "mlp", "value": 3}, (Choice(3, "mlp"),)),
        ([{"filter": "*", "value": [0, 1]}, {"value": 2}], (Choice((0, 1)), Choice(2))),
    ],
)
def test_values(data, found):
    assert parse_setting(data) == found


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "found nothing"),
        ([0, None], "found nothing"),
        ([0, "low"], "a list of numbers, found 'low'"),
        ([0, {"value": 1}], "either all numbers or all"),
        ({"filter": "mlp"}, "a choice is"),
        ({"value": 1, "name": "x"}, "a choice is"),
        ({"value": 1, "filter": ["mlp"]}, "part of a tensor's name"),
        ([[0, 1], [1, 2]], "expected a number"),
    ],
)
def test_what_is_no_value_is_told(data, said):
    with pytest.raises(ValueError, match=said):
        parse_setting(data)


@pytest.mark.parametrize(
    ("values", "t", "expected"),
    [
        ([0.1, 0.2, 0.9], 0.0, 0.1),
        ([0.1, 0.2, 0.9], 1 / 3, 0.1 + 2 / 3 * 0.1),
        ([0.1, 0.2, 0.9], 2 / 3, 0.2 + 1 / 3 * 0.7),
        ([0.1, 0.2, 0.9], 1.0, 0.9),
        ([0, 0.5, 0.3, 0.7, 1], 1 / 3, 0.5 - 0.2 / 3),
        ([7], 0.4, 7),
        ([True, False], 0.5, 0.5),
    ],
)
def test_gradients_are_straight_between_their_values(values, t, expected):
    assert value_at(parse_setting(values), "any", t) == pytest.approx(expected, abs=1e-12)


def test_the_first_choice_that_hits_wins_and_none_falls_through():
    setting = parse_setting(
        [{"filter": "mlp", "value": [0, 1]}, {"filter": "up_proj", "value": 9}, {"filter": "self_attn", "value": []}]
    )
    assert value_at(setting, "layers.0.mlp.up_proj.weight", 0.25) == 0.25
    assert value_at(setting, "up_proj", 0) == 9
    assert value_at(setting, "norm", 0) is None
    assert value_at(setting, "self_attn", 0) is None
    assert value_at(parse_setting([]), "norm", 0) is None


def test_which_values_depend_on_the_layer():
    assert is_gradient(parse_setting([0, 1]))
    assert is_gradient(parse_setting([{"filter": "x", "value": [0, 1]}]))
    assert not is_gradient(parse_setting([1]))
    assert not is_gradient(parse_setting([{"value": 1}, {"value": 2}]))
    assert not is_gradient(parse_setting(0.5))
