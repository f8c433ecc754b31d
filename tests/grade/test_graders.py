from __future__ import annotations

import pytest

from deltakit.errors import RecipeError
from deltakit.grade.answers import Form
from deltakit.grade.graders import GRADERS, Exact, MetaMath, Symbolic, Verdict


def test_exact_never_rounds_and_the_scripts_grader_does() -> None:
    text = "So 17.6.\nThe answer is: 17.6"
    assert Exact().grade(text, "18", "number") == Verdict(False, "17.6", "phrase")
    assert MetaMath().grade(text, "18", "number") == Verdict(True, "18", "phrase")


def test_no_answer_is_told_from_a_wrong_one() -> None:
    for grader in (Exact(), Symbolic(), MetaMath()):
        assert grader.grade("I do not know", "18", "number") == Verdict(False, None, "none")


def test_exact_with_another_rule() -> None:
    text = "#### 5\nThe answer is: 6\nSee page 7"
    answers = {rule: Exact(rule).grade(text, "6", "number").answer for rule in ("phrase", "hash", "last_number")}
    assert answers == {"phrase": "6", "hash": "5", "last_number": "7"}


@pytest.mark.parametrize(
    ("tail", "gold", "correct"),
    [
        ("18", "18", True), ("$18 a day", "18", True), ("17.4", "17", True), ("2.5", "2", True), ("3.5", "4", True),
        ("35/2", "18", True), ("7/0", "7", True), ("/5", "5", False), ("-3", "-3", True), ("2,125", "2,125", True),
        ("1,450,000", "1,450,000", False), ("9" * 2000, "9", False), ("unclear", "5", False),
    ],
)  # fmt: skip
def test_numbers_as_the_script_reads_them(tail: str, gold: str, correct: bool) -> None:
    assert MetaMath().grade(f"The answer is: 3\nThe answer is: {tail}", gold, "number").correct is correct


def test_the_script_wants_its_exact_phrase() -> None:
    for text in ("#### 18", "The answer is 18", "the answer is: 18", "\\boxed{18}"):
        assert MetaMath().grade(text, "18", "number").answer is None


@pytest.mark.parametrize(
    ("tail", "gold", "correct"),
    [
        (r"\frac12.", "0.5", True),
        ("x=3.\nMore text", "3", True),
        ("0.25", r"\frac{1}{4}", False),
        (r"$\frac12$", "0.5", False),
    ],
)
def test_expressions_as_the_script_reads_them(tail: str, gold: str, correct: bool) -> None:
    assert MetaMath().grade(f"So.\nThe answer is: {tail}", gold, "math").correct is correct


def test_the_scripts_grader_has_no_rule_for_text() -> None:
    with pytest.raises(RecipeError, match="plain text"):
        MetaMath().grade("a b", "a b", "text")


def test_algebra_is_asked_only_where_the_cheap_tests_say_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deltakit.grade.graders.shared_worker", lambda: pytest.fail("not needed"))
    assert Symbolic().grade("The answer is: 18.0", "18", "number").correct
    assert Symbolic().grade("a", "a", "text").correct
    assert not Symbolic().grade("a", "b", "text").correct


def test_algebra_and_its_limit_are_noted() -> None:
    pytest.importorskip("math_verify")
    boxed = r"\boxed{\pi/2}"
    assert not Exact().grade(boxed, r"\frac{\pi}{2}", "math").correct
    assert Symbolic(seconds=20).grade(boxed, r"\frac{\pi}{2}", "math") == Verdict(True, r"\pi/2", "boxed", "algebra")
    endless = Symbolic(seconds=0.3).grade(r"\boxed{10^{10^{10^{10}}}}", "3", "math")
    assert (endless.correct, endless.note) == (False, "timeout")


def test_graders_are_made_from_words() -> None:
    assert GRADERS.names() == ["exact", "metamath", "symbolic"]
    assert GRADERS.parse("exact") == Exact()
    assert GRADERS.parse("symbolic(extract='boxed', seconds=2)") == Symbolic("boxed", 2)
    assert all(GRADERS.summary(name) for name in GRADERS.names())


@pytest.mark.parametrize(
    "text", ["exct", "exact(extrct='phrase')", "exact(extract='phrse')", "symbolic(seconds=0)", "metamath(x=1)"]
)
def test_a_grader_that_cannot_be_made_is_a_usage_error(text: str) -> None:
    with pytest.raises(RecipeError):
        GRADERS.parse(text)


@pytest.mark.parametrize("form", ["number", "math"])
@pytest.mark.parametrize("name", ["exact", "metamath", "symbolic"])
def test_every_grader_accepts_the_plain_right_answer(name: str, form: Form) -> None:
    assert GRADERS.make(name).grade("So.\n#### 42\nThe answer is: 42", "42", form).correct
