from __future__ import annotations

import pytest

from deltakit.grade.ifeval import forms


@pytest.mark.parametrize(
    ("marker", "text", "followed"),
    [
        ("P.S.", "P. S. Hello", True), ("P.S.", "P.P.S Hello", False), ("P.P.S", "bye p.p.s. hello", True),
        ("P.P.S", "P.S. hello", False), ("N.B.", "n.b. hello", True), ("N.B.", "nxbx", False),
    ],
)  # fmt: skip
def test_postscripts(marker: str, text: str, followed: bool) -> None:
    assert forms.postscript(text, marker).followed is followed


def test_a_highlighted_part_is_counted_once() -> None:
    assert "1 highlighted" in forms.number_highlighted_sections("**bold**", 1).why
    assert "1 highlighted" in forms.number_highlighted_sections("*italic*", 1).why
    assert "0 highlighted" in forms.number_highlighted_sections("**\n**", 1).why


@pytest.mark.parametrize(("text", "followed"), [('```JSON\n{"a": 1}\n```', True), ("[" * 100_000, False), ("", False)])
def test_json_in_a_block_and_json_that_is_none(text: str, followed: bool) -> None:
    assert forms.json_format(text).followed is followed


def test_a_bullet_is_not_bold_text() -> None:
    assert forms.number_bullet_lists("**bold** line\n* a\n  * b", 2).followed
    assert forms.number_bullet_lists("---\n- a", 2).followed, "a rule is a line that begins with -"
