from __future__ import annotations

import pytest

from deltakit.grade.ifeval import wholes


def test_letters_are_looked_at_before_the_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wholes, "language_of", lambda text: pytest.fail("not needed"))
    assert wholes.english_capital("Not all").why == "not only capital letters"
    assert wholes.english_lowercase("NOT ALL").why == "not only small letters"


@pytest.mark.parametrize(("found", "followed"), [("en", True), (None, True), ("de", False)])
def test_a_text_in_no_language_counts_as_followed(
    monkeypatch: pytest.MonkeyPatch, found: str | None, followed: bool
) -> None:
    monkeypatch.setattr(wholes, "language_of", lambda text: found)
    assert wholes.response_language("text", "en").followed is followed
    assert wholes.english_lowercase("text").followed is followed


def test_ends_and_beginnings_forgive_case_and_space() -> None:
    assert wholes.end_checker('"Well. That IS all."\n', "that is all. ").followed
    assert not wholes.end_checker("That is all. Bye.", "That is all.").followed
    assert wholes.repeat_prompt("\n SAY it. So", " Say it.").followed


def test_two_responses_must_differ() -> None:
    assert wholes.two_responses("a******a").why == "2 responses, 1 different"
    assert wholes.two_responses("a ****** b ******").followed
