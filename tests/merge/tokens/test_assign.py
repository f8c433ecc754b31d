"""Which row each token gets: the rule, on vocabularies of a few letters."""

from __future__ import annotations

import pytest

from deltakit.errors import MismatchError, RecipeError
from deltakit.merge.tokens.assign import AVERAGE, MEAN, ZERO, Assignment, Known, assign, check_known
from deltakit.merge.tokens.choice import TokenizerChoice
from deltakit.merge.tokens.read import Vocabulary


def known(tokens: str, rows: int | None = None) -> Known:
    """One token a letter; a dot is a hole."""
    ids = {t: i for i, t in enumerate(tokens) if t != "."}
    return Known(Vocabulary(ids), len(tokens) if rows is None else rows)


def settle(models: dict[str, Known], source: str = "union", base: str | None = "a", **more: object) -> Assignment:
    choice = TokenizerChoice.model_validate({"source": source, **more})
    return assign(models, choice, anchor=source if source in models else "a", base=base)


def test_a_missing_row_is_the_bases_the_only_donors_or_a_mean() -> None:
    made = settle({"a": known("xy"), "b": known("yxzw"), "c": known("xw")})
    assert dict(made.ids) == {"x": 0, "y": 1, "z": 2, "w": 3}
    assert made.own["a"].tolist() == [0, 1, -1, -1]
    assert made.own["b"].tolist() == [1, 0, 2, 3]
    assert made.own["c"].tolist() == [0, -1, -1, 1]
    assert made.pick.tolist() == [0, 0, 1, MEAN]
    assert made.pick_row.tolist() == [0, 1, 2, -1]


def test_without_a_base_nobody_is_preferred() -> None:
    made = settle({"a": known("xy"), "b": known("x"), "c": known("yx")}, base=None)
    assert made.pick.tolist() == [MEAN, MEAN]


def test_padding_and_holes_stay_where_they_are() -> None:
    made = settle({"a": known("x.y", 6), "b": known("x.yz", 5)}, "base")
    assert made.rows == 6
    assert made.own["a"].tolist() == [0, 1, 2, 3, 4, 5]
    assert made.own["b"].tolist() == [0, 1, 2, -1, 4, -1]  # its row 3 is z's
    assert made.pick.tolist() == [0] * 6


def test_union_is_as_long_as_the_longest() -> None:
    models = {"a": known("xy", 3), "b": known("xyz", 9)}
    assert settle(models).rows == 9
    assert settle(models, "base").rows == 3
    assert settle(models, pad_to_multiple_of=8).rows == 16
    assert settle(models, "base", pad_to_multiple_of=3).rows == 3


def test_rows_that_nobody_has() -> None:
    made = settle({"a": known("xyz", 2), "b": known("xy")}, "base", pad_to_multiple_of=4)
    assert made.rows == 4
    assert made.pick.tolist() == [0, 0, AVERAGE, AVERAGE]


def test_what_the_recipe_says_of_single_tokens() -> None:
    models = {"a": known("xy"), "b": known("xyz")}
    tokens = {"z": {"source": {"kind": "zero"}}, "x": {"source": "b", "force": True}, "n": {"source": {"kind": "zero"}}}
    made = settle(models, tokens=tokens)
    assert dict(made.ids) == {"x": 0, "y": 1, "z": 2, "n": 3}
    assert made.pick.tolist() == [1, 0, ZERO, ZERO]
    assert made.forced.tolist() == [True, False, False, False]


def test_all_wrong_tokens_are_said_at_once() -> None:
    tokens = {"x": {"source": "q"}, "y": {}, "z": {"source": "a"}}
    with pytest.raises(RecipeError) as caught:
        settle({"a": known("xy"), "b": known("xyz")}, tokens=tokens)
    assert len(caught.value.details) == 3


def test_tokens_without_rows() -> None:
    assert check_known({"a": known("xy")}) == ()
    assert check_known({"a": known("xyz", 2)}) == (
        "a: 1 tokens have no row in its embedding and count as lacking: 'z'",
    )
    shared = Known(Vocabulary({"x": 0, "y": 0}), 1)
    assert check_known({"a": shared}) == ("a: id 0 is 'x' and 'y'; both get that row",)
    with pytest.raises(MismatchError, match="does not fit"):
        check_known({"a": known("xyz", 1)})
