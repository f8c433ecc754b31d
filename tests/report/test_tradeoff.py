"""Error against bytes."""

import pytest

from deltakit.report.figure import as_svg
from deltakit.report.tradeoff import draw, section

POINTS = [
    {
        "ratio": ratio, "nbytes": int(1e6 / ratio), "file_ratio": ratio * 0.9, "payload_ratio": ratio * 1.01,
        "bits": 16 / ratio, "error": 0.01 * ratio, "forecast": forecast,
    }
    for ratio, forecast in ((8.0, 0.081), (16.0, 0.17), (32.0, None))
]  # fmt: skip


def test_every_point_is_a_row():
    made = section(POINTS)
    assert [row[0] for row in made.rows] == ["8", "16", "32"]
    assert made.rows[0][1] == 125_000
    assert made.rows[0][5:] == ("0.0800", "0.0810")
    assert made.rows[2][6] is None
    assert len(made.columns) == len(made.rows[0])


def test_measured_and_expected_are_lines_and_every_point_says_its_ratio():
    (axes,) = draw(POINTS).axes
    assert [line.get_label() for line in axes.lines] == ["measured", "expected"]
    assert [len(line.get_xdata()) for line in axes.lines] == [3, 2]
    assert {text.get_text() for text in axes.texts} == {"1:8", "1:16", "1:32"}


@pytest.mark.parametrize("points", [POINTS[:1], [{**POINTS[0], "error": 0.0, "forecast": None}]])
def test_a_single_point_and_no_error_can_be_drawn(points):
    assert as_svg(draw(points)).startswith(b"<?xml")
