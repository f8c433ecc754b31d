from __future__ import annotations

import pytest

from deltakit_eval.tasks.scoring import INVALID, equivalence, exact, last_number, marked

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
    monkeypatch.setattr("deltakit_eval.tasks.scoring.shared_worker", lambda: pytest.fail("not needed"))
    doc = {"gold": "1/2", "form": "math"}
    assert equivalence(doc, ["0.5"])["math_verify"] == 1
    assert equivalence(doc, [INVALID])["math_verify"] == 0
