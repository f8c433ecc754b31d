from __future__ import annotations

from typing import Any

from deltakit_eval.tasks import agreement


def flag(scores: list[dict[str, Any]], n: int) -> str | None:
    return agreement.flag(scores, n, "exact_match,marked")


def metrics(strict: float | None, *flexible: float | None) -> list[dict[str, Any]]:
    both = [("marked", strict), *((f"last_{i}", value) for i, value in enumerate(flexible))]
    scores = [{"metric": "exact_match", "filter": name, "value": value} for name, value in both]
    others = [{"metric": "answered", "filter": name, "value": v} for name, v in (("marked", 0.1), ("last_0", 1.0))]
    return [*others, *scores]


def test_readings_that_agree_within_noise_are_not_flagged() -> None:
    assert flag(metrics(0.6649, 0.6672), 1319) is None
    assert flag(metrics(0.5, 0.59), 100) is None, "an interval of 100 items is wider than that"
    assert flag(metrics(0.0, 0.0), 1319) is None


def test_a_format_artefact_is_flagged_with_both_numbers() -> None:
    said = flag(metrics(0.0, 0.6672), 1319)
    assert said is not None
    assert "marked 0.0 %, last_0 66.7 %" in said
    assert flag(metrics(0.5, 0.61), 100) is not None
    assert flag(metrics(0.9, 0.2), 100) is not None, "in either direction"
    assert "last_1 80.0 %" in str(flag(metrics(0.5, 0.52, 0.8), 100))


def test_there_is_nothing_to_compare_with_one_reading_or_no_value() -> None:
    assert flag(metrics(0.5), 100) is None
    assert flag(metrics(0.5, None), 100) is None
    assert flag(metrics(None, 0.5), 100) is None
    assert flag([{"metric": "acc", "filter": "none", "value": 0.2}], 100) is None
