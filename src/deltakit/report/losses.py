"""Losses of training runs over their steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deltakit.report.curve import Curve, Points
from deltakit.report.figure import COLOURS, MARKS, new_figure
from deltakit.report.page import Cell, Picture, Section

__all__ = ["section"]

_SHOWN = 12  # points of a curve that the table lists


def section(curves: Sequence[Curve]) -> Section:
    """One picture of all runs; of each, the table lists up to twelve points and always the last."""
    rows: list[tuple[Cell, ...]] = []
    groups: list[str] = []
    for curve in curves:
        for kind, points in (("training", curve.training), ("held out", curve.held_out)):
            rows += [(kind, step, f"{loss:.4f}") for step, loss in _thinned(points)]
        groups += [curve.name] * (len(rows) - len(groups))
    names = ", ".join(curve.name for curve in curves)
    return Section(
        "Training loss",
        "Nats per response token. Held-out loss, where it was measured, has marks and a dashed line.",
        ("loss", "step", "nats per token"),
        tuple(rows),
        tuple(groups),
        Picture("losses", f"Losses over steps of {names}", draw(curves)),
    )


def _thinned(points: Points) -> Points:
    """At most `_SHOWN` points, evenly, with the last one."""
    every = max(1, -(-len(points) // _SHOWN))
    return tuple(reversed(points[::-1][::every]))


def draw(curves: Sequence[Curve]) -> Any:
    """A line a run; held-out points are marked."""
    figure, (axes,) = new_figure(7, 3.6)
    for i, curve in enumerate(curves):
        colour, mark = COLOURS[i % len(COLOURS)], MARKS[i % len(MARKS)]
        if curve.training:
            axes.plot(*zip(*curve.training, strict=True), color=colour, linewidth=1.2, label=f"{curve.name}, training")
        if curve.held_out:
            axes.plot(*zip(*curve.held_out, strict=True), color=colour, marker=mark, linestyle="--", linewidth=0.8,
                      label=f"{curve.name}, held out")  # fmt: skip
    axes.set(xlabel="step", ylabel="loss, nats per token", ylim=(0, None))
    axes.legend(frameon=False, fontsize=8)
    return figure
