from __future__ import annotations

import json

import pytest

from deltakit_eval.tasks.scoring import (
    INVALID,
    abstention,
    abstention_anywhere,
    equivalence,
    exact,
    instructions,
    last_math,
    last_number,
    marked,
    marked_abstention,
    mean_of_all,
    verdicts,
)

NUMBER = {"gold": "18", "form": "number"}
TEXT = {"gold": "sun cat", "form": "text"}


def test_filters_keep_the_shape_and_follow_the_documents_form() -> None:
    given = [["The answer is: 18", "I have 18"], [" sun cat "]]
    assert marked(given, [NUMBER, TEXT]) == [["18", INVALID], ["sun cat"]]
    assert last_number(given[:1], [NUMBER]) == [["18", "18"]]


def test_filters_want_a_document_for_each_response() -> None:
    with pytest.raises(ValueError, match="shorter"):
        marked([["a"], ["b"]], [NUMBER])


@pytest.mark.parametrize(("answer", "match", "answered"), [("18.0", 1.0, 1.0), ("17.9", 0.0, 1.0), (INVALID, 0.0, 0.0)])
def test_exact_scores(answer: str, match: float, answered: float) -> None:
    assert exact(NUMBER, [answer]) == {"exact_match": match, "answered": answered}


def test_a_gold_answer_cannot_be_the_sign_of_none() -> None:
    assert exact({"gold": INVALID, "form": "text"}, [INVALID])["exact_match"] == 0


def test_algebra_is_reported_apart() -> None:
    pytest.importorskip("math_verify")
    doc = {"gold": r"\frac{\pi}{2}", "form": "math"}
    assert equivalence(doc, [r"\pi/2"]) == {"exact_match": 0.0, "answered": 1.0, "math_verify": 1.0}
    assert equivalence(doc, [r"\pi"]) == {"exact_match": 0.0, "answered": 1.0, "math_verify": 0.0}


def test_algebra_is_not_asked_where_it_cannot_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deltakit_eval.tasks.scoring.same_by_algebra", lambda *_: pytest.fail("not needed"))
    doc = {"gold": "1/2", "form": "math"}
    assert equivalence(doc, ["0.5"])["math_verify"] == 1
    assert equivalence(doc, [INVALID])["math_verify"] == 0


def test_thoughts_are_no_answers() -> None:
    assert marked([["<think>The answer is: 3</think>The answer is: 18"]], [NUMBER]) == [["18"]]
    assert last_number([["<think>maybe 18"]], [NUMBER]) == [[INVALID]]


def test_the_last_marked_answer_counts() -> None:
    assert marked([["The answer is: 3. No.\nThe answer is: 18"]], [NUMBER]) == [["18"]]


def test_a_number_may_be_as_far_off_as_its_task_says() -> None:
    near = {"gold": "4.33", "form": "number", "near": 5e-3}
    assert exact(near, ["4.3333"])["exact_match"] == 1
    assert exact(near, ["13/3"])["exact_match"] == 1
    assert exact(near, ["4.34"])["exact_match"] == 0
    assert exact({**near, "near": 0.0}, ["4.3333"])["exact_match"] == 0


def test_the_flexible_reading_of_mathematics_falls_back_to_the_last_formula() -> None:
    doc = {"gold": "7", "form": "math"}
    given = [[r"So \boxed{7}, not $8$.", "Hence $x = 7$. Done.", "It is 7.", "Nothing."]]
    assert last_math(given, [doc]) == [["7", "7", "7", INVALID]]
    assert marked(given, [doc]) == [["7", INVALID, INVALID, INVALID]]


def test_saying_that_something_is_missing_counts_where_it_is() -> None:
    doc = {"gold": "None", "form": "text"}
    given = [["The answer is: None", "We cannot tell how many.\nThe answer is: 5", "It is 5."]]
    assert [abstention(doc, [a])["exact_match"] for a in marked_abstention(given, [doc])[0]] == [1, 0, 0]
    assert abstention_anywhere([["It cannot be determined."]], [doc]) != [[INVALID]]


def test_instructions_are_verdicts_that_can_be_read() -> None:
    about = {"instruction_id_list": ["punctuation:no_comma", "detectable_format:title"], "kwargs": [{}, {}]}
    doc = {"form": "text", "details": json.dumps(about)}
    ((said,),) = verdicts([["a, b"]], [doc])
    assert [v["why"] for v in json.loads(said)] == ["1 commas", "no <<title>>"]
    assert instructions(doc, [said]) == {
        "prompt_strict": 0.0, "prompt_loose": 0.0,
        "instruction_strict": [False, False], "instruction_loose": [False, False],
    }  # fmt: skip
    ((said,),) = verdicts([["a, b\n<<c>>\n"]], [doc])
    assert instructions(doc, [said])["instruction_strict"] == [False, True]
    ((said,),) = verdicts([["Sure, here:\n<<c>> d"]], [doc])
    assert (instructions(doc, [said])["prompt_strict"], instructions(doc, [said])["prompt_loose"]) == (0.0, 1.0)


def test_the_mean_over_instructions_weighs_every_one() -> None:
    assert mean_of_all([[True], [True, False, False]]) == 0.5
