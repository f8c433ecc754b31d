from __future__ import annotations

from deltakit.generate.modes import MODES
from deltakit.prompts import prompt_style
from deltakit.prompts.programs import COT_REQUEST, POT_REQUEST, TIR_REQUEST, pot


def test_a_program_is_asked_for_inside_the_instruction() -> None:
    asked = pot("How many?", "Say it.")
    assert asked.index("How many?\nSay it.") < asked.index(POT_REQUEST) < asked.index("### Response:")


def test_the_fallback_asks_the_same_question_in_other_words() -> None:
    asked = pot("How many {x}?").replace(POT_REQUEST, COT_REQUEST)
    assert "program" not in asked
    assert asked.endswith(f"How many {{x}}?{COT_REQUEST}\n\n### Response:")


def test_styles_name_the_mode_that_they_need() -> None:
    assert {name: prompt_style(name, "grade").mode for name in ("pot", "tir", "tora")} == {
        "pot": "pot", "tir": "tir", "tora": "tir"
    }  # fmt: skip
    for name in ("pot", "tir"):
        MODES.parse(prompt_style(name, "competition").mode)


def test_turns_are_asked_for_in_the_marks_that_the_mode_reads() -> None:
    for mark in ("```python", "```output", "\\boxed{}"):
        assert mark in TIR_REQUEST
    assert prompt_style("tora", "grade").question("Why\nnot?") == "<|user|>\nWhy\nnot?\n<|assistant|>\n"
