"""Pictures: the same bytes on every run, nothing of the machine in them."""

from deltakit.report.figure import COLOURS, MARKS, as_png, as_svg, new_figure, style_of


def drawn():
    figure, panels = new_figure(3, 2, 2)
    panels[0].plot([1, 2], [3, 4], label="a <b>", **style_of(0))
    panels[1].set_title("x & y")
    return figure


def test_the_same_picture_has_the_same_bytes():
    assert as_svg(drawn()) == as_svg(drawn())
    assert as_png(drawn()) == as_png(drawn())


def test_a_figure_may_be_saved_twice():
    figure = drawn()
    assert (as_svg(figure), as_png(figure)) == (as_svg(figure), as_png(figure))


def test_an_svg_holds_no_letters_no_date_and_no_script():
    text = as_svg(drawn()).decode()
    assert "<dc:date>" not in text
    assert "<script" not in text
    assert "<text" not in text


def test_a_png_is_one():
    assert as_png(drawn()).startswith(b"\x89PNG")


def test_series_differ_in_colour_and_in_mark():
    styles = [style_of(i) for i in range(7)]
    assert len({s["color"] for s in styles}) == len({s["marker"] for s in styles}) == 7
    assert style_of(len(COLOURS))["color"] == COLOURS[0]
    assert style_of(len(MARKS))["marker"] == MARKS[0]
