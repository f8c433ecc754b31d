import pytest

from deltakit.report.paired.item import LOSS_METRIC, Scores, joined, keyed, number


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1.0), (True, 1.0), (0.25, 0.25), ([1, 0, 1, 0], 0.5), (float("nan"), None), (float("inf"), None), (None, None),
     ([1.0, None], None), ([], None), ("1", None)],
)  # fmt: skip
def test_a_score_is_a_finite_number_or_none(value, expected):
    assert number(value) == expected


def test_a_document_asked_twice_keeps_both():
    taken = {}
    for _ in range(3):
        taken[keyed("h", taken)] = 1
    assert list(taken) == ["h", "h#2", "h#3"]


def test_the_answers_of_several_draws_are_told_apart():
    assert [joined(answer) for answer in ("7", ["7", "8"], 7, [])] == ["7", "7 | 8", "7", ""]


def test_which_way_is_up():
    scores = Scores("acc,none", {}, {}, frozenset({"perplexity"}))
    assert not scores.is_lower_better("acc,none")
    assert scores.is_lower_better("perplexity,none")
    assert scores.is_lower_better(LOSS_METRIC)
