from __future__ import annotations

from collections.abc import Iterable

import pytest

from deltakit.errors import RecipeError
from deltakit.grade.answers import Form
from deltakit.grade.equality.algebra import Algebra
from deltakit.grade.equality.worker import Compared
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
    monkeypatch.setattr("deltakit.grade.graders.shared_algebra", lambda: pytest.fail("not needed"))
    assert Symbolic().grade("The answer is: 18.0", "18", "number").correct
    assert Symbolic().grade("a", "a", "text").correct
    assert not Symbolic().grade("a", "b", "text").correct


def test_algebra_and_its_limit_are_noted() -> None:
    pytest.importorskip("math_verify")
    boxed = r"\boxed{\frac{d}{dx} x^2}"
    assert Symbolic(seconds=20).grade(boxed, "2x", "math").note in ("algebra", "")
    endless = Symbolic(seconds=0.3).grade(r"\boxed{10^{10^{10^{10}}}}", "3", "math")
    assert (endless.correct, endless.note, endless.why) == (False, "timeout", "timeout after 0.3 s")
    assert not Exact().grade(r"\boxed{\pi/2}", r"\frac{\pi}{2}", "math").correct
    assert Symbolic().grade(r"\boxed{\pi/2}", r"\frac{\pi}{2}", "math") == Verdict(True, r"\pi/2", "boxed")


class Stubborn(Algebra):
    """Algebra that always fails in one way."""

    def __init__(self, why: str) -> None:
        super().__init__(workers=1)
        self.why = why

    def settle(self, pairs: Iterable[tuple[str, str]], seconds: float) -> int:
        self._known |= {(pair, seconds): Compared(False, self.why) for pair in pairs}
        return 0


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("crash", "no verdict by algebra: crash"),
        ("error: RecursionError", "no verdict by algebra: error: RecursionError"),
        ("timeout", "timeout after 5 s"),
        ("", "not shown to be equal by algebra"),
    ],
)
def test_what_algebra_fails_at_is_wrong_and_said(why: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deltakit.grade.graders.shared_algebra", lambda: Stubborn(why))
    verdict = Symbolic().grade(r"\boxed{\int x}", "3", "math")
    assert (verdict.correct, verdict.note, verdict.why) == (False, why, said)


@pytest.mark.parametrize(
    ("completion", "gold", "form", "why"),
    [
        ("#### 0.5", "1/2", "number", "0.5 = 1/2 as fractions"),
        ("#### 3", "4", "number", "differs: 3 vs 4"),
        ("three", "3", "number", "no answer: no mark found"),
        (r"\boxed{12 m}", r"12\text{ cm}", "math", "units differ: meter vs centimeter"),
        (r"\boxed{2, 1}", "1,2", "math", "2, 1 = 1,2: equal in some order"),
    ],
)
def test_every_verdict_says_why(completion: str, gold: str, form: Form, why: str) -> None:
    assert Symbolic().grade(completion, gold, form).why == why


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
