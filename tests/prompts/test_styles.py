from __future__ import annotations

import pytest

from deltakit.errors import RecipeError
from deltakit.grade.answers import Form, extract
from deltakit.prompts.examples import COMPETITION, GRADE
from deltakit.prompts.styles import FAMILIES, STYLES, check_style, prompt_style, styles_of

EVERY = [(family, name) for family in ("", *FAMILIES) for name in styles_of(family)]


@pytest.mark.parametrize(("family", "name"), EVERY, ids=lambda word: word or "any")
def test_a_style_says_what_it_is_asks_the_question_and_stops_at_a_line(family: str, name: str) -> None:
    style = prompt_style(name, family)
    check_style(name)
    assert (style.name, bool(style.about)) == (name, True)
    asked = style.question("How many {x}?\nSay it.")
    assert asked.count("How many {x}?") == asked.count("Say it.") == 1
    assert style("How many {x}?", "Say it.") == asked
    assert all(stop.startswith("\n") for stop in style.stop)


def test_few_shot_prompts_show_examples_then_ask() -> None:
    two = prompt_style("cot2", "grade").question("Last?")
    assert two.startswith(f"Q: {GRADE[0].question}\nA: {GRADE[0].solution} The answer is {GRADE[0].answer}.\n\nQ: ")
    assert two.endswith(f"The answer is {GRADE[1].answer}.\n\nQ: Last?\nA:")
    assert two.count("Q:") == 3
    assert prompt_style("cot0", "grade").question("Last?") == "Q: Last?\nA: Let's think step by step."
    four = prompt_style("cot4", "competition").question("Last?")
    assert rf"The answer is $\boxed{{{COMPETITION[1].answer}}}$." in four
    assert four.count("Q:") == 5


def test_a_hint_stands_before_the_solution_and_the_model_writes_the_last_one() -> None:
    one, two = prompt_style("hsp", "grade"), prompt_style("hsp2", "grade")
    assert f"{GRADE[0].question}\nHint: {GRADE[0].hint}\nA: {GRADE[0].solution}" in one.question("Last?")
    assert one.question("Last?").endswith("\n\nQ: Last?\nHint:")
    assert one.question("Last?") == two.question("Last?")
    assert (one.mode, two.mode) == ("direct", "hints(then='A:')")


def test_a_chat_is_told_how_to_close_its_answer() -> None:
    assert prompt_style("chat", "").question("Hi\nyou") == "Hi\nyou"
    assert prompt_style("chat", "").chat
    assert "The answer is:" in prompt_style("chat", "grade").question("Hi")
    assert r"\boxed{}" in prompt_style("chat", "competition").question("Hi")
    assert not prompt_style("cot8", "grade").chat


@pytest.mark.parametrize(("family", "form"), [("grade", "number"), ("competition", "math")])
def test_our_own_examples_are_closed_as_our_extractors_read_it(family: str, form: Form) -> None:
    examples = FAMILIES[family].examples
    for example in examples:
        found = extract(FAMILIES[family].worked(example, hint=True), "marked", form)
        assert found is not None
        assert found.text == example.answer


def test_what_does_not_fit_is_refused() -> None:
    for name, family in (("cot9", "grade"), ("cot5", "competition"), ("hsp", ""), ("cot08", "grade"), ("cot2", "")):
        with pytest.raises(RecipeError, match=name):
            prompt_style(name, family)
    with pytest.raises(RecipeError, match="cot8") as caught:
        prompt_style("cot8", "competition")
    assert "cot4" in caught.value.remedy
    for name in ("cot8", "chat", "hsp"):  # training and generate know none of these
        with pytest.raises(RecipeError, match="unknown prompt style"):
            prompt_style(name)
    assert prompt_style("qa") is STYLES["qa"]


def test_an_unknown_name_suggests() -> None:
    for check in (check_style, lambda name: prompt_style(name, "grade")):
        with pytest.raises(RecipeError, match="metamat") as caught:
            check("metamat")
        assert "'metamath'" in caught.value.remedy
