from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.errors import RecipeError
from deltakit.grade.answers import EXTRACTORS, Answer, Form, boxed, extract

METAMATH = "\nJanet makes 9 * $2 = $18.\n#### 18\nThe answer is: 18"


def test_metamaths_own_form() -> None:
    assert extract(METAMATH) == Answer("18", "phrase")
    assert extract(METAMATH, "hash") == Answer("18", "hash")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is: 18", "18"),
        ("the answer is 18.", "18"),
        ("The final answer is $1,000 a day.", "1,000"),
        ("The answer is: 1. No.\nThe answer is: 2", "2"),
        ("The answer is:\n\n-3.5", "-3.5"),
        ("The answer is: 3/4 of it", "3/4"),
        ("The answer is: $\\boxed{7}$", "7"),
        ("The answer is: unclear\n12", None),
        ("The answer is:", None),
        ("The answer isn't 3", None),
    ],
)
def test_a_number_after_the_phrase(text: str, answer: str | None) -> None:
    found = extract(text, "phrase")
    assert (None if found is None else found.text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is: \\frac{\\pi}{2}.", "\\frac{\\pi}{2}"),
        ("The answer is: $x^2+1$.", "x^2+1"),
        ("So the answer is $\\boxed{(3, \\frac{\\pi}{2})}$.", "(3, \\frac{\\pi}{2})"),
        ("The answer is: \\text{Evelyn}\nand more", "\\text{Evelyn}"),
    ],
)
def test_an_expression_after_the_phrase(text: str, answer: str) -> None:
    assert extract(text, "phrase", "math") == Answer(answer, "phrase")


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        (r"\boxed{3}", "3"),
        (r"first \boxed{1}, then \boxed{\frac{1}{2}} and so", r"\frac{1}{2}"),
        (r"\boxed {a{b}{c{d}}}", "a{b}{c{d}}"),
        (r"\fbox{9}", "9"),
        (r"$\boxed 2$.", "2"),
        (r"\boxed{1} and an open \boxed{2", "1"),
        (r"\boxed{2", None),
        ("none", None),
    ],
)
def test_the_last_closed_box_counts(text: str, inside: str | None) -> None:
    assert boxed(text) == inside


def test_a_backward_question_may_end_in_the_value() -> None:
    text = "Dividing by 1.5, we get: x = 80.\nThe value of x is $80,000."
    assert extract(text) == Answer("80,000", "value")
    assert extract("The value of the unknown variable x is: 5.") == Answer("5", "value")
    assert extract("the value of $x$ is 5") == Answer("5", "value")


@pytest.mark.parametrize(
    ("text", "form", "how"),
    [
        ("#### 1\nThe answer is: 2 \\boxed{3}", "number", "phrase"),
        ("#### 1 \\boxed{3}", "number", "hash"),
        ("\\boxed{3}. The value of x is 4.", "number", "boxed"),
        ("\\boxed{3}. The answer is correct.", "math", "boxed"),
        ("The answer is: 2", "math", "phrase"),
        ("whatever", "text", "text"),
    ],
)
def test_marks_are_tried_in_order(text: str, form: Form, how: str) -> None:
    found = extract(text, form=form)
    assert found is not None
    assert found.how == how


def test_an_unmarked_number_is_an_answer_only_when_asked_for() -> None:
    cut = "She has 3 eggs, then 7"
    assert extract(cut) is None
    assert extract(cut, "last_number") == Answer("7", "last_number")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("So 3.\nA: 18", "18"), ("A: $1,200.50.\n", "$1,200.50"), ("A: 3\nand more", None), ("A: three", None),
        ("A: Let's see, 3 eggs", None), ("Plan A: 3", None),
    ],
)  # fmt: skip
def test_a_final_line_of_openais_models(text: str, answer: str | None) -> None:
    found = extract(text)
    assert (None if found is None else found.text) == answer


def test_what_the_last_program_printed() -> None:
    text = "```python\nprint(3)\n```\n```output\n3\n```\nThen\n```output\nx\n4.0\n```\nso it is four."
    assert extract(text, "output") == Answer("4.0", "output")
    assert extract(text, "boxed|output") == Answer("4.0", "output")
    assert extract(text + r" \boxed{4}", "boxed|output") == Answer("4", "boxed")
    assert extract("none", "output") is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Final Answer: The final answer is $x+1$. I hope it is correct.", "x+1"),
        ("The answer is: 90\\text{ square\nunits}\nMore.", "90\\text{ square\nunits}"),
        ("The answer is $\n\\frac12$", "\\frac12"),
        ("The answer is: {open\nand more", "{open"),
        ("The answer is: \\(\n2\n\\) or so", "\\(\n2\n\\) or so"),
        ("The answer is: 9\\text{ a.m.}", "9\\text{ a.m.}"),
    ],
)
def test_an_expression_ends_with_its_sentence_and_goes_on_while_it_is_open(text: str, answer: str) -> None:
    found = extract(text, "phrase", "math")
    assert found is not None
    assert found.text.strip() == answer


def test_plain_text_is_taken_whole() -> None:
    assert extract("  sun cat \n", form="text") == Answer("sun cat", "text")
    assert extract(" \n", form="text") is None


def test_an_unknown_rule_suggests() -> None:
    with pytest.raises(RecipeError, match="phrse") as caught:
        extract("x", "phrse")
    assert "'phrase'" in caught.value.remedy


@given(st.text(alphabet="The answer is:#\\boxed{}$\n 18.,-/x"), st.sampled_from(["marked", *EXTRACTORS]))
def test_no_text_breaks_a_rule(text: str, how: str) -> None:
    forms: tuple[Form, ...] = ("number", "math", "text")
    for form in forms:
        found = extract(text, how, form)
        assert found is None or found.text


def test_answers_in_thoughts_do_not_count() -> None:
    assert extract("<think>The answer is: 3</think>The answer is: 4") == Answer("4", "phrase")
    assert extract("The answer is: 3? No.</think> It has four.") is None
    assert extract("<think>The answer is: 3", "last_number") is None
    assert extract("<think>so</think> blue ", form="text") == Answer("blue", "text")
