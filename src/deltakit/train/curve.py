"""The losses of a run as a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any

__all__ = ["draw_losses"]


def draw_losses(rows: Iterable[Mapping[str, Any]], title: str) -> bytes:
    """A PNG of the lines of `loss.jsonl`: training loss and, where measured, held-out loss over steps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = list(rows)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for field, label, mark in (("loss", "training", ""), ("holdout_loss", "held out", "o")):
        points = [(row["step"], row[field]) for row in rows if field in row]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, marker=mark or None)
    axes.set(xlabel="step", ylabel="loss (nats per response token)", title=title)
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()
    picture = BytesIO()
    # no date, no version: the same losses give the same bytes
    FigureCanvasAgg(figure).print_png(picture, metadata={"Software": None})
    return picture.getvalue()
