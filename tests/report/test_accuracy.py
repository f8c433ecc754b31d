"""The table of results and its picture."""

import pytest

from deltakit.report.accuracy import draw, grouped, in_words, results_table, section, tasks_of
from deltakit.report.results import LOSS, Score, rows_of
from support.results import result


@pytest.fixture
def rows():
    return rows_of(result(), "here")


def test_the_table_holds_bytes_ratio_and_scores(rows):
    columns, cells = results_table(rows)
    assert columns == ("model", "bytes on disk", "ratio", "toy_math %", "toy_chat %")
    assert cells[4] == ("0.2, rescaled", 420_000, "6.90", "94.0 ± 1.7", "0.0 ± 0.0")


def test_groups_stand_together_where_their_first_row_stood(rows):
    mixed = [rows[3], rows[0], rows[8], rows[4]]
    assert [r.name for r in grouped(mixed)] == [
        "DARE: 0.5, rescaled",
        "DARE: 0.2, rescaled",
        "base",
        "codecs: svd_mixed",
    ]


def test_held_out_loss_comes_last_in_nats():
    found = result([("m", 1, 1, 1)])
    found["models"][0]["loss"] = {"loss": 1.23456, "stderr": 0.01, "records": 7}
    rows = rows_of(found, "here")
    assert tasks_of(rows)[-1] == LOSS
    assert results_table(rows)[0][-1] == "held-out loss (nats)"
    assert results_table(rows)[1][0][-1] == "1.235 ± 0.010"


@pytest.mark.parametrize(
    ("score", "says"),
    [
        (None, "-"),
        (Score(None, None, 3), "not finite"),
        (Score(0.5, None, 1), "50.0"),
        (Score(0.5, 0.01, 9), "50.0 ± 1.0"),
    ],
)
def test_scores_in_words(score, says):
    assert in_words(score, "gsm8k") == says


def test_the_section_has_numbers_and_picture(rows):
    found = section(rows)
    assert len(found.rows) == len(found.groups) == len(rows)
    assert found.picture is not None
    assert "toy_math, toy_chat" in found.picture.alt


def test_every_score_is_a_dot_with_whiskers(rows):
    (axes,) = draw(rows, ["toy_math", "toy_chat"]).axes
    assert [len(c.lines[0].get_xdata()) for c in axes.containers] == [len(rows), len(rows)]
    assert list(axes.containers[0].lines[0].get_xdata()[:2]) == [0.0, 100.0]
    segments = axes.containers[0].lines[2][0].get_segments()
    assert segments[0][1][0] == pytest.approx(1.9, abs=0.1)  # Wilson's upper end of 0 of 200
    assert [t.get_text() for t in axes.texts] == ["experts", "DARE", "merges", "codecs"]
