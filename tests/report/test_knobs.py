import pytest

from deltakit.report.knobs import knobs_of, sections
from deltakit.report.results import Row, Score


def row(name: str, source: str = "m", value: float | None = 0.5) -> Row:
    return Row(name, source, 10, 20, {"toy": Score(value, 0.1, 20)})


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("DARE: keep 0.5", "m", [("density", 0.5, "DARE")]),
        ("ties, density=0.2", "m", [("density", 0.2, "ties")]),
        ("dare_ties lambda 0.7 density 0.5", "m", [("lambda", 0.7, "dare_ties density 0.5"),
                                                   ("density", 0.5, "dare_ties lambda 0.7")]),
        ("slerp, t 0.25", "m", [("t", 0.25, "slerp")]),
        ("math", "base + 0.7*out/math.delta", [("lambda", 0.7, "math.delta")]),
        ("both", "base + 0.7*a.delta + 0.7*b.delta", [("lambda", 0.7, "a.delta + b.delta")]),
        ("away", "base - 0.5*a.delta", [("lambda", -0.5, "a.delta")]),
        ("both", "base + 0.8*a.delta + 0.4*b.delta", []),
        ("gpt 4", "m", []), ("start 0.5", "m", []), ("keep 0.5.1", "m", []), ("plain", "base + a.delta", []),
    ],
)  # fmt: skip
def test_names_and_expressions_tell_settings(name, source, expected):
    assert [(k.setting, k.value, k.series) for k in knobs_of(row(name, source))] == expected


def test_three_values_make_a_picture_and_levels_stand_beside():
    rows = [row(f"DARE: keep {v}", value=v) for v in (0.5, 0.05, 0.2)] + [row("ties, density 0.5"), row("base")]
    (found,) = sections(rows, ["base"])
    assert found.title == "Accuracy over density"
    assert [cells[:2] for cells in found.rows] == [("DARE", "0.05"), ("DARE", "0.2"), ("DARE", "0.5")]
    (axes,) = found.picture.figure.axes
    assert [line.get_label() for line in axes.lines if line.get_label() == "base"] == ["base"]
    assert list(axes.lines[0].get_xdata()) == [0.05, 0.2, 0.5]
    assert axes.get_xlabel() == "density"


def test_many_series_are_parted_so_that_colours_tell_them():
    rows = [row(f"m{i}: keep {v}") for i in range(8) for v in (0.1, 0.2, 0.5)]
    found = sections(rows)
    assert [s.title for s in found] == ["Accuracy over density (1 of 2)", "Accuracy over density (2 of 2)"]
    assert [s.picture.stem for s in found] == ["over-density-1-of-2", "over-density-2-of-2"]
    assert [len(s.rows) for s in found] == [21, 3]
    assert [t.get_text() for t in found[1].picture.figure.axes[0].get_xticklabels()] == ["0.1", "0.2", "0.5"]


def test_fewer_values_make_none_and_scores_that_are_none_are_left_out():
    assert sections([row("keep 0.5"), row("keep 0.2"), row("keep 0.5")]) == []
    (found,) = sections([row("keep 0.5"), row("keep 0.2"), row("keep 0.1", value=None)])
    assert list(found.picture.figure.axes[0].lines[0].get_xdata()) == [0.2, 0.5]
    assert found.rows[0] == ("models", "0.1", "not finite")
