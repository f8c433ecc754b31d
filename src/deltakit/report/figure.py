"""How every picture looks, and its bytes: colours and marks that differ for every eye, the same bytes on every run."""

from __future__ import annotations

from io import BytesIO
from typing import Any

__all__ = ["COLOURS", "MARKS", "as_png", "as_svg", "new_figure", "settle", "style_of"]

# Okabe and Ito's palette, without yellow, which is too pale for thin lines on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
_DPI = 150


def style_of(index: int) -> dict[str, str]:
    """Colour and mark of the n-th series; both differ, so neither must be seen."""
    return {"color": COLOURS[index % len(COLOURS)], "marker": MARKS[index % len(MARKS)]}


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Any, list[Any]]:
    """A figure (inches) with panels side by side; no window, no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, columns, squeeze=False)[0]
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.set_axisbelow(True)
    return figure, list(panels)


def settle(figure: Any) -> None:
    """Fix where everything stands: laying out again would move it a little, and change the bytes."""
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


def as_svg(figure: Any) -> bytes:
    """The figure as SVG; letters are outlines, so that it looks the same everywhere."""
    import matplotlib

    settle(figure)
    made = BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "deltakit", "svg.fonttype": "path"}):
        figure.savefig(made, format="svg", metadata={"Date": None, "Creator": None})
    return made.getvalue()


def as_png(figure: Any) -> bytes:
    """The figure as PNG."""
    settle(figure)
    made = BytesIO()
    figure.savefig(made, format="png", dpi=_DPI, metadata={"Software": None})
    return made.getvalue()
