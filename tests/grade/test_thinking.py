import pytest

from deltakit.grade.thinking import Stripped, opened_thought, strip_thinking


@pytest.mark.parametrize(
    "mark", [("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<reasoning>", "</reasoning>"),
             ("<Thought>", "</thought>"), ("<seed:think>", "</seed:think>"), ("[THINK]", "[/THINK]"),
             ("◁think▷", "◁/think▷")]
)  # fmt: skip
def test_each_mark_is_known(mark: tuple[str, str]) -> None:
    opening, closing = mark
    text = f"{opening}\nThe answer is: 3? No.\n{closing}\n\nThe answer is: 4"
    assert strip_thinking(text) == Stripped("The answer is: 4", "The answer is: 3? No.", True)
    assert strip_thinking(f"The answer is: 3? No. {closing}The answer is: 4").text == "The answer is: 4"
    assert strip_thinking(f"{opening}The answer is: 3") == Stripped("", "The answer is: 3", False)
    assert opened_thought(f"Assistant: {opening}\n") == f"{opening}\n"
    assert opened_thought(f"{opening} so {closing}") == ""


@pytest.mark.parametrize("text", ["", "  The answer is: 4\n", "a < think > b", "Write `<think>`, `</think>`: 4"])
def test_a_text_without_thoughts_is_left_as_it_is(text: str) -> None:
    assert strip_thinking(text) == Stripped(text, "", True)


@pytest.mark.parametrize(
    ("text", "left", "thought"),
    [
        ("Well. <think>a</think> 4", "Well.  4", "a"),
        ("<think>a<think>b</think>c</think>4", "4", "a\nb\nc"),
        ("<think>I close with </thinking> later</think>4", "4", "I close with\nlater"),
        ("<think>a</think>4<think>b</think>", "4", "a\nb"),
        ("</think></think>4", "4", ""),
        ("<think></think>4", "4", ""),
        ("<think>a</thinking>4", "4", "a"),
    ],
)
def test_nested_and_malformed_thoughts_end_at_their_last_mark(text: str, left: str, thought: str) -> None:
    assert strip_thinking(text) == Stripped(left, thought, True)


def test_what_stood_before_an_unclosed_thought_is_kept() -> None:
    assert strip_thinking("The answer is: 4. <think>But is") == Stripped("The answer is: 4.", "But is", False)
    assert strip_thinking("<think>a</think>4 <think>b") == Stripped("4", "a\nb", False)


def test_a_long_text_of_marks_takes_no_time() -> None:
    assert strip_thinking("<think>" * 50_000 + "</think>4").text == "4"
    assert strip_thinking("<" * 200_000).thinking == ""
