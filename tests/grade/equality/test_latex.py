from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.grade.equality.latex import balanced, splits, tidy, words


@pytest.mark.parametrize(
    ("answer", "tidied"),
    [
        (r"\left( 3, \dfrac{1}{2} \right]", r"( 3, \frac{1}{2} ]"), (r"$\tfrac12$.", r"\frac12"),
        (r"10{,}000", "10000"),
        (r"11,\! 111,\! 100", "11111100"), ("1,000", "1,000"), (r"\(x\)", "x"), ("**7**", "7"),
        (r"x \leq 3", r"x \le 3"),
        (r"90^{\circ}", r"90^\circ"), ("90°", r"90^\circ"), (r"2 \cdot \pi", r"2 * \pi"), ("−3", "-3"),
        (r"0.\overline{3}", r"\frac{3}{9}"), (r"0.1\overline{6}", r"\frac{15}{90}"), (r"\overline{CD}", "{CD}"),
        (r"\begin{pmatrix} 1 \\ -3 \end{pmatrix}", r"\begin{pmatrix} 1 \\ -3 \end{pmatrix}"),
        (r"1 & \phantom -1", "1 & 1"), (r"9\text{ a.m.}", r"9\text{ a.m.}"), ("", ""),
        (r"\mathbb{R}", r"(-\infty,\infty)"), ("all real numbers", r"(-\infty,\infty)"),
    ],
)  # fmt: skip
def test_one_spelling(answer: str, tidied: str) -> None:
    assert tidy(answer) == tidied


def test_words_are_opened() -> None:
    assert words(r"12\text{ cm} and \mathrm{kg}").split() == ["12", "cm", "and", "kg"]


@pytest.mark.parametrize(
    ("text", "closed"), [("(1,2]", True), ("{[()]}", True), ("(", False), (")(", False), ("", True)]
)
def test_balance(text: str, closed: bool) -> None:
    assert balanced(text) is closed


def test_splits_only_outside_brackets() -> None:
    assert splits(r"1,(2,3),\frac{4}{5,6}", re.compile(",")) == ["1", "(2,3)", r"\frac{4}{5,6}"]


@given(st.text(alphabet="\\{}()[],$ .text\nfrac12!^°−"))
def test_tidy_survives_and_settles(text: str) -> None:
    assert isinstance(tidy(text), str)
    assert "\n" not in tidy(text)
