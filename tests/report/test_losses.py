"""Loss curves."""

from deltakit.report.curve import Curve
from deltakit.report.losses import draw, section

LONG = tuple((step, 3.0 / step) for step in range(1, 101))


def test_the_table_is_thinned_and_keeps_the_last_step():
    made = section([Curve("math", LONG, ((50, 1.0), (100, 0.5)))])
    training = [row for row in made.rows if row[0] == "training"]
    assert len(training) <= 12
    assert training[-1] == ("training", 100, "0.0300")
    assert [row[1] for row in made.rows if row[0] == "held out"] == [50, 100]
    assert set(made.groups) == {"math"}


def test_each_run_is_a_group_and_has_its_lines():
    curves = [Curve("math", LONG, ()), Curve("chat", LONG[:3], LONG[:1])]
    made = section(curves)
    assert list(dict.fromkeys(made.groups)) == ["math", "chat"]
    assert len(made.groups) == len(made.rows)
    (axes,) = draw(curves).axes
    assert [line.get_label() for line in axes.lines] == ["math, training", "chat, training", "chat, held out"]
