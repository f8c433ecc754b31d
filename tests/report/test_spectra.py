"""Spectra as a table and as curves."""

from deltakit.report.spectra import draw, section

FOUND = [
    {"name": "up", "values": [4.0, 2.0, 0.0], "effective_rank": 1.89, "rank_at_90": 2, "rank_at_99": 2},
    {"name": "down", "values": [1.0], "effective_rank": 1.0, "rank_at_90": 1, "rank_at_99": 1},
]


def test_a_row_and_a_curve_a_matrix():
    made = section(FOUND, 3)
    assert made.rows == (("up", 3, "1.9", 2, 2), ("down", 1, "1.0", 1, 1))
    assert made.picture.stem == "spectra-3"
    axes = draw(FOUND).axes[0]
    assert list(axes.lines[0].get_ydata()) == [1.0, 0.5]  # zeros have no logarithm
    assert axes.get_yscale() == "log"


def test_many_curves_have_no_legend():
    assert draw(FOUND * 5).axes[0].get_legend() is None
