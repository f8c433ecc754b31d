from __future__ import annotations

import sys

import pytest

from deltakit.errors import RecipeError
from deltakit.grade.ifeval.reading import capital_words, compared, language_of, sentences, words


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two! Three?", 3),
        ("Dr. Who met Mrs. May at 5 p.m. in the U.S. last year.", 1),
        ("J. R. Smith is here. He sits.", 2),
        ('"Go!" he said. "Now."', 2),
        ("It costs 3.50 euros... maybe more.", 1),
        ("1. First thing. 2. Second thing.", 2),
        ("No mark at the end", 1),
        ("Use e.g. this one.\nAnd that.", 2),
        ("Really?! Yes.", 2),
        ("这是第一句。这是第二句。", 2),
        ("यह पहला है। यह दूसरा है।", 2),
        ("...", 1),
        ("", 0),
    ],
)
def test_sentences(text: str, count: int) -> None:
    found = sentences(text)
    assert len(found) == count, found
    assert "".join("".join(found).split()) == "".join(text.split()), "nothing is lost"


def test_words() -> None:
    assert words("It's a well-known fact, no. 3") == ["It", "s", "a", "well", "known", "fact", "no", "3"]
    assert capital_words("NASA and the U.S. saw I-95 at CO2. I'm X") == ["NASA", "U.S", "I-95", "CO2", "I", "X"]


def test_counts_are_compared_in_two_ways_only() -> None:
    assert compared(3, "at least", 3, "words").followed
    assert not compared(3, "less than", 3, "words").followed
    with pytest.raises(RecipeError, match="at most"):
        compared(3, "at most", 3, "words")


def test_a_language_is_the_same_in_every_run() -> None:
    pytest.importorskip("langdetect")
    doubtful = "ok la de o"
    assert len({language_of(doubtful) for _ in range(8)}) == 1
    assert language_of("Dies ist ohne Zweifel ein deutscher Satz.") == "de"
    assert language_of("12 34") is None


def test_without_the_detector_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("langdetect", "langdetect.detector_factory", "langdetect.lang_detect_exception"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(RecipeError, match="langdetect") as caught:
        language_of("some text")
    assert "pip install" in caught.value.remedy
