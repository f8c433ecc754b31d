from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.errors import RecipeError
from deltakit.prompts import STYLES, alpaca, bare, join_query, metamath, prompt_style, qa, split_query

PLAIN = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\nHow many?\n\n### Response:"
)
PAIRED = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\nCount.\n\n### Input:\none two\n\n### Response:"
)


def test_the_template_without_input_is_alpacas_to_the_letter() -> None:
    assert alpaca("How many?") == PLAIN


def test_the_template_with_input_is_alpacas_to_the_letter() -> None:
    assert alpaca("Count.", "one two") == PAIRED


def test_inference_appends_the_suffix_after_one_space() -> None:
    assert metamath("How many?") == PLAIN + " Let's think step by step."


def test_inference_never_uses_the_template_with_input() -> None:
    assert metamath("Count.", "one two") == alpaca("Count.\none two") + " Let's think step by step."


def test_a_query_is_split_after_its_first_line() -> None:
    fobar = "A story with x.\nIf we know the answer is 7, what is x?\nThink."
    assert split_query(fobar) == ("A story with x.", "If we know the answer is 7, what is x?\nThink.")
    assert split_query("one line") == ("one line", "")


def test_training_and_evaluation_ask_a_multi_line_question_as_they_were_told_to() -> None:
    assert prompt_style("alpaca").question("Count.\none two") == PAIRED
    assert "### Input" not in prompt_style("metamath").question("Count.\none two")


@pytest.mark.parametrize("text", ["{instruction}", "{input}", "{0} %s", "\\frac{1}{2}"])
def test_braces_in_a_question_are_text(text: str) -> None:
    assert f"### Instruction:\n{text}\n\n### Response:" in alpaca(text)
    assert f"### Input:\n{text}\n\n### Response:" in alpaca("Do it.", text)
    assert f"### Instruction:\n{text}\n\n### Input:\nx" in alpaca(text, "x")


def test_the_other_styles() -> None:
    assert qa("How many?") == "Question: How many?\nAnswer:"
    assert bare("Count.", "one two") == "Count.\none two"


@given(st.text())
def test_split_and_join_are_inverse_but_for_an_empty_second_part(query: str) -> None:
    assert join_query(*split_query(query)) == query or query.endswith("\n")


@pytest.mark.parametrize("name", sorted(STYLES))
def test_stops_are_headers_that_no_solution_needs(name: str) -> None:
    style = prompt_style(name)
    assert style.name == name
    assert style.about
    solution = "\nThe Response to this Question needs an Instruction.\n\n#### 18\nThe answer is: 18"
    assert not any(stop in solution for stop in style.stop)
    assert all(stop.startswith("\n") for stop in style.stop)


def test_an_unknown_style_suggests() -> None:
    with pytest.raises(RecipeError, match="alpacca") as caught:
        prompt_style("alpacca")
    assert "'alpaca'" in caught.value.remedy
