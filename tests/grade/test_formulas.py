from __future__ import annotations

import pytest

from deltakit.grade.formulas import last_formula


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("First $a = 1$, then $b = 2 + 3 = 5$.", "5"),
        (r"so \(x = \frac{1}{2}\) it is", r"\frac{1}{2}"),
        ("thus\n\\[\nx = 3.\n\\]", "3"),
        ("the sum is $$7$$", "7"),
        (r"it costs \$5 or \$6", "6"),
        ("We get 12 of 15", "15"),
        ("no number", None),
        ("", None),
        ("an empty one $ $", None),
        (r"$(1, 2)$ and \$3", "(1, 2)"),
    ],
)
def test_the_last_formula_else_the_last_number(text: str, found: str | None) -> None:
    assert last_formula(text) == found
