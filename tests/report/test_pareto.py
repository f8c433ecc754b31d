"""Accuracy against bytes."""

import pytest

from deltakit.errors import RecipeError
from deltakit.report.pareto import draw, sections
from deltakit.report.results import rows_of
from support.results import ROWS, result

LINES = ["base", "experts: math"]


@pytest.fixture
def rows():
    return rows_of(result(), "here")


def test_one_section_a_task_with_lines_first_and_then_by_bytes(rows):
    math, chat = sections(rows, LINES)
    assert (math.title, chat.title) == ("Accuracy against bytes: toy_math", "Accuracy against bytes: toy_chat")
    assert [row[0] for row in math.rows[:2]] == LINES
    sizes = [row[1] for row in math.rows[2:]]
    assert sizes == sorted(sizes)
    assert len(math.rows) == len(ROWS)


def test_a_line_that_is_no_model_is_an_error(rows):
    with pytest.raises(RecipeError, match="no model 'bse'") as wrong:
        sections(rows, ["bse"])
    assert "did you mean 'base'" in str(wrong.value)


def test_sizes_that_are_not_known_are_left_out():
    rows = rows_of(result([("a", None, 1, 1), ("b", 5, 1, 1), ("c", 6, 1, 1)]), "here")
    assert [row[0] for row in sections(rows)[0].rows] == ["b", "c"]
    assert sections(rows[:2]) == []


def test_points_lines_and_labels_are_drawn(rows):
    points = [r for r in rows if r.name not in LINES]
    (axes,) = draw("toy_math", points, rows[:2], ["experts", "DARE", "merges", "codecs"]).axes
    assert axes.get_xscale() == "log"
    assert sorted(t.get_text() for t in axes.texts) == sorted(r.label for r in points)
    assert sum(len(c.lines[0].get_xdata()) for c in axes.containers) == len(points)
    flat = [
        line.get_ydata()[0] for line in axes.lines if len(set(line.get_ydata())) == 1 and len(line.get_xdata()) == 2
    ]
    assert {0.0, 100.0} <= set(flat)
