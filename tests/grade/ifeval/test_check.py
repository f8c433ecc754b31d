from __future__ import annotations

import json
from pathlib import Path

import pytest

from deltakit.errors import InputError
from deltakit.grade.ifeval import RULES, check, loosened

COMMA = ("punctuation:no_comma", {})
WORDS = ("length_constraints:number_words", {"num_words": 3, "relation": "at least"})


def test_one_verdict_an_instruction_with_its_reason() -> None:
    first, second = check("one, two", [COMMA[0], WORDS[0]], [COMMA[1], WORDS[1]])
    assert (first.strict, first.loose, first.why) == (False, False, "1 commas")
    assert (second.instruction, second.strict) == (WORDS[0], False)
    assert second.why == "2 words, at least 3 wanted"


@pytest.mark.parametrize(
    "response",
    ["Sure, here it is:\nno more", "no more\nBye, now", "Sure, here:\nno more\nBye, now"],
)
def test_a_frame_around_the_response_is_loosened_away(response: str) -> None:
    (verdict,) = check(response, [COMMA[0]], [{}])
    assert (verdict.strict, verdict.loose) == (False, True)


def test_stars_are_loosened_away() -> None:
    (verdict,) = check("**That is all.**", ["startend:end_checker"], [{"end_phrase": "That is all."}])
    assert (verdict.strict, verdict.loose) == (False, True)


def test_there_are_eight_forms() -> None:
    forms = loosened("a\n*b*\nc")
    assert forms == ["a\n*b*\nc", "*b*\nc", "a\n*b*", "*b*", "a\nb\nc", "b\nc", "a\nb", "b"]


@pytest.mark.parametrize("response", ["", "  \n"])
def test_an_empty_response_follows_nothing(response: str) -> None:
    (verdict,) = check(response, [COMMA[0]], [{}])
    assert (verdict.strict, verdict.loose, verdict.why) == (False, False, "an empty response")


def test_columns_without_a_value_are_no_arguments() -> None:
    (verdict,) = check("one two three", [WORDS[0]], [{**WORDS[1], "num_sentences": None}])
    assert verdict.strict


def test_what_is_not_understood_is_an_error() -> None:
    with pytest.raises(InputError, match="no_coma") as caught:
        check("x", ["punctuation:no_coma"], [{}])
    assert "punctuation:no_comma" in str(caught.value.remedy)
    with pytest.raises(InputError, match="num_words"):
        check("x", [WORDS[0]], [{"num_words": 3}])
    with pytest.raises(InputError, match="2 instructions"):
        check("x", [COMMA[0], COMMA[0]], [{}])


def test_every_instruction_of_the_real_file_is_understood(shared_data: Path) -> None:
    pytest.importorskip("langdetect")
    rows = [json.loads(line) for line in (shared_data / "ifeval" / "input_data.jsonl").read_text().splitlines()]
    seen = set()
    for row in rows:
        # its own prompt as the response: every rule runs with its real arguments; English, so that languages are fast
        found = check(row["prompt"][:200], row["instruction_id_list"], row["kwargs"])
        assert all(verdict.why for verdict in found)
        assert all(verdict.loose for verdict in found if verdict.strict)
        seen.update(row["instruction_id_list"])
    assert (len(rows), seen) == (541, set(RULES))
