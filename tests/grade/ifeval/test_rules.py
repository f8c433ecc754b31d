"""Every kind of instruction with responses that follow it and responses that do not."""

from __future__ import annotations

from typing import Any

import pytest

from deltakit.grade.ifeval.rules import RULES

CASES: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "change_case:capital_word_frequency": (
        {"capital_frequency": 2, "capital_relation": "at least"},
        ["NASA met the U.S. team", "I AM"],
        ["NASA met us", "no Capital Words here"],
    ),
    "change_case:english_capital": (
        {},
        ["THIS WHOLE RESPONSE IS IN CAPITAL LETTERS", "THE CAT AND THE DOG WERE HERE AT 2."],
        ["This is not", "DIES IST EIN DEUTSCHER SATZ UND KEIN ENGLISCHER SATZ"],
    ),
    "change_case:english_lowercase": (
        {},
        ["this whole response is in small letters."],
        ["This is not", "dies ist ein deutscher satz und kein englischer satz"],
    ),
    "combination:repeat_prompt": (
        {"prompt_to_repeat": "Write a poem. "},
        ["Write a poem.\nRoses", "  write a POEM. then"],
        ["Sure! Write a poem.", "Write the poem."],
    ),
    "combination:two_responses": (
        {},
        ["one ****** two", "******one******two******"],
        ["one", "one ****** one", "one ****** two ****** three", "one ****** ****** two"],
    ),
    "detectable_content:number_placeholders": (
        {"num_placeholders": 2},
        ["Dear [name], from [city]", "[a][b][c]"],
        ["Dear [name]", "(a) (b)"],
    ),
    "detectable_content:postscript": (
        {"postscript_marker": "P.S."},
        ["Bye\nP.S. more", "Bye\np. s. more"],
        ["Bye", "PS more"],
    ),
    "detectable_format:constrained_response": (
        {},
        ["My answer is yes.", "Well. My answer is maybe. Bye"],
        ["Yes.", "my answer is no"],
    ),
    "detectable_format:json_format": (
        {},
        ['{"a": 1}', '```json\n{"a": [1, 2]}\n```', "```\n[]\n```"],
        ["{a: 1}", 'Here: {"a": 1}'],
    ),
    "detectable_format:multiple_sections": (
        {"section_spliter": "Section", "num_sections": 2},
        ["Section 1\na\nSection 2\nb", "Section 1 Section 2 Section 3"],
        ["Section 1\na", "section 1 section 2", "Section one Section two"],
    ),
    "detectable_format:number_bullet_lists": (
        {"num_bullets": 2},
        ["* a\n* b", "- a\n  - b", "Text\n* a\n- b"],
        ["* a", "* a\n* b\n* c", "1. a\n2. b", "** a\n** b"],
    ),
    "detectable_format:number_highlighted_sections": (
        {"num_highlights": 2},
        ["*a* and *b*", "**a** and **b**", "*a* then **b**"],
        ["*a* only", "** ** * *", "a * b"],
    ),
    "detectable_format:title": ({}, ["<<My title>>\ntext"], ["My title", "<< >>", "<My title>", "<<two\nlines>>"]),
    "keywords:existence": (
        {"keywords": ["sun", "Moon"]},
        ["The SUN and the moon", "sunny moonlight"],
        ["The sun", "neither"],
    ),
    "keywords:forbidden_words": (
        {"forbidden_words": ["sun", "a.b"]},
        ["sunny", "moon", "axb"],
        ["the Sun shines", "sun", "an a.b c"],
    ),
    "keywords:frequency": (
        {"keyword": "war", "frequency": 2, "relation": "less than"},
        ["War", "peace"],
        ["war and warlike", "war war war"],
    ),
    "keywords:letter_frequency": (
        {"letter": "e", "let_frequency": 3, "let_relation": "at least"},
        ["eEe", "every evening"],
        ["ee", "none"],
    ),
    "language:response_language": (
        {"language": "de"},
        ["Das ist ein deutscher Satz über das Wetter in Berlin.", "123 456"],
        ["This is an English sentence about the weather.", "Это русский текст о погоде в Москве."],
    ),
    "length_constraints:nth_paragraph_first_word": (
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "president"},
        ["One.\n\nPresident A", 'One.\n\n"President," he said', "One.\n\npresident's men"],
        ["President A", "One.\n\nThe president", "One.\n\nPresident A\n\nThree", "One.\n\n\n\nPresident"],
    ),
    "length_constraints:number_paragraphs": (
        {"num_paragraphs": 2},
        ["a\n***\nb", "***\na\n***\nb\n***"],
        ["a", "a\n\nb", "a\n***\n***\nb", "a *** b *** c"],
    ),
    "length_constraints:number_sentences": (
        {"num_sentences": 2, "relation": "at least"},
        ["One. Two.", "One! Two", "Is it? Yes."],
        ["One.", "Mr. Smith went home.", "It is 3.5 metres long"],
    ),
    "length_constraints:number_words": (
        {"num_words": 3, "relation": "less than"},
        ["one two", "one"],
        ["one two three", "it's so"],
    ),
    "punctuation:no_comma": ({}, ["a; b", "a"], ["a, b"]),
    "startend:end_checker": (
        {"end_phrase": "Peace! "},
        ["Well. Peace!", 'He said "well. PEACE!"'],
        ["Peace! Bye", "Peace"],
    ),
    "startend:quotation": ({}, ['"all of it"', ' "a"b" '], ['"', "all", '"all', "'all'", "“all”"]),
}


def test_every_rule_has_cases() -> None:
    assert set(CASES) == set(RULES)
    assert len(RULES) == 25


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_knows_who_follows_it(name: str) -> None:
    if name in ("change_case:english_capital", "change_case:english_lowercase", "language:response_language"):
        pytest.importorskip("langdetect")
    given, followed, broken = CASES[name]
    for response in followed:
        found = RULES[name](response, **given)
        assert found.followed, f"{response!r}: {found.why}"
    for response in broken:
        found = RULES[name](response, **given)
        assert not found.followed, f"{response!r}: {found.why}"
        assert found.why
