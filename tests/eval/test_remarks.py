from typing import Any

from deltakit_eval.remarks import at_k_rows, endings, formats


def result(**task: Any) -> dict[str, Any]:
    metrics = [
        {"metric": "exact_match", "filter": "marked", "value": 0.5, "stderr": 0.1},
        {"metric": "maj@4", "filter": "marked", "value": 0.6, "stderr": 0.2},
        {"metric": "maj@4", "filter": "last_number", "value": 0.7, "stderr": None},
    ]
    found = {"headline": "exact_match,marked", "metrics": metrics, **task}
    return {"models": [{"name": "m", "tasks": {"gsm8k": found}}]}


def test_scores_of_several_answers_are_those_of_the_headlines_filter() -> None:
    assert at_k_rows(result()) == [["m", "gsm8k", "maj@4", 0.6, 0.2]]


def test_only_what_spoils_answers_is_said() -> None:
    assert endings(result()) == []
    assert endings(result(truncated=0.0, empty=0, unclosed_thoughts=0.0)) == []
    lines = endings(result(truncated=0.25, empty=0.5, unclosed_thoughts=1.0))
    assert lines[0] == "m, gsm8k: 25.0% of the texts were cut at their limit of new tokens (--max-new-tokens)"
    assert [line.split("texts ")[1].split()[:2] for line in lines] == [["were", "cut"], ["were", "empty"],
                                                                       ["ended", "inside"]]  # fmt: skip


def test_a_format_that_does_not_fit_is_said() -> None:
    assert formats(result()) == formats(result(format=None)) == []
    assert formats(result(format="strict 0 %, flexible 60 %")) == ["m, gsm8k: strict 0 %, flexible 60 %"]
