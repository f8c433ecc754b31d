from __future__ import annotations

import pytest

from deltakit.grade.ifeval import counts


@pytest.mark.parametrize(
    ("text", "count"), [("a", 1), ("a***b", 2), ("***a***b", 2), ("a\n\n***\n\nb\n\n***", 2), ("a *** b *** c", 3)]
)
def test_dividers_at_the_ends_make_no_paragraph(text: str, count: int) -> None:
    assert counts.number_paragraphs(text, count).followed
    assert not counts.number_paragraphs(text, count + 1).followed


def test_the_reason_says_what_was_counted() -> None:
    found = counts.nth_paragraph_first_word("A b.\n\nC d.", 3, 2, "c")
    assert (found.followed, found.why) == (False, "2 paragraphs, 3 wanted; number 2 begins with 'c'")
    assert counts.existence("one", ["one", "two"]).why == "missing: two"
    assert counts.forbidden_words("One two", ["one"]).why == "found: one"
    assert counts.frequency("a cat", "cat", 2, "at least").why == "1 of 'cat', at least 2 wanted"


def test_a_keyword_is_text_not_a_pattern() -> None:
    assert not counts.existence("axb", ["a.b"]).followed
    assert counts.frequency("a+b a+b", "a+b", 2, "at least").followed
    assert counts.letter_frequency("#a#", "#", 2, "at least").followed
