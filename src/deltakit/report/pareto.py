"""Accuracy against bytes: what a smaller delta costs, with base and full fine-tune as lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deltakit.errors import RecipeError
from deltakit.registry import did_you_mean
from deltakit.report.accuracy import in_words, tasks_of
from deltakit.report.figure import COLOURS, new_figure, settle, style_of
from deltakit.report.labels import Label, place_labels
from deltakit.report.page import Picture, Section
from deltakit.report.results import LOSS, Row, Score, whiskers

__all__ = ["sections"]

_SIZE = 7.0
_LEADER = {"arrowstyle": "-", "linewidth": 0.4, "alpha": 0.6, "shrinkA": 0, "shrinkB": 2}
_DASHES = ("--", ":", "-.", "-")


def sections(rows: Sequence[Row], lines: Sequence[str] = ()) -> list[Section]:
    """One section a task that models of at least two different, known sizes have a score on."""
    names = [row.name for row in rows]
    for line in lines:
        if line not in names:
            raise RecipeError(f"no model {line!r} in the results to draw as a line", remedy=did_you_mean(line, names))
    levels = [row for row in rows if row.name in lines]
    points = [row for row in rows if row.name not in lines and row.nbytes]
    found = []
    for task in tasks_of(rows):
        scored = sorted((r for r in points if _has(r, task)), key=lambda r: (r.nbytes or 0, r.name))
        if task != LOSS and len({r.nbytes for r in scored}) >= 2:
            found.append(_section(task, scored, [r for r in levels if _has(r, task)], [r.group for r in points]))
    return found


def _section(task: str, points: Sequence[Row], levels: Sequence[Row], groups: Sequence[str]) -> Section:
    cells = tuple((r.name, r.nbytes, r.ratio_text, in_words(r.scores[task], task)) for r in [*levels, *points])
    drawn = draw(task, points, levels, list(dict.fromkeys(groups)))
    return Section(
        f"Accuracy against bytes: {task}",
        "Up and to the left is better. Lines are models that are shown for comparison, whatever they weigh.",
        ("model", "bytes on disk", "ratio", f"{task} %"),
        cells,
        (),
        Picture(f"bytes-{task}", f"Accuracy on {task} against bytes on disk of {len(points)} models", drawn),
    )


def draw(task: str, points: Sequence[Row], levels: Sequence[Row], groups: Sequence[str]) -> Any:
    """Points with 95 % whiskers over a logarithmic axis of bytes; every point is labelled."""
    figure, (axes,) = new_figure(8, 4.8)
    for i, row in enumerate(levels):
        value = 100 * _value(row.scores[task])
        axes.axhline(value, color=COLOURS[-1], linestyle=_DASHES[i % len(_DASHES)], linewidth=1, label=row.name)
    for i, group in enumerate(groups):
        inside = [r for r in points if r.group == group]
        if inside:
            ys = [100 * _value(r.scores[task]) for r in inside]
            reach = whiskers([r.scores[task] for r in inside])
            axes.errorbar([r.nbytes for r in inside], ys, yerr=reach, linestyle="", capsize=2, elinewidth=0.8,
                          markersize=6, label=group or "models", **style_of(i))  # fmt: skip
    axes.set(xscale="log", ylim=(-5, 105), xlabel="bytes on disk beyond the base", ylabel=f"accuracy on {task}, %")
    sizes = [r.nbytes or 1 for r in points]
    axes.set_xlim(min(sizes) / 1.3, max(sizes) * 3)  # room for the labels of the largest
    _bytes_axis(axes)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=5, frameon=False, fontsize=8)
    settle(figure)  # labels are placed on the page as it is
    _label(figure, axes, task, points)
    return figure


def _bytes_axis(axes: Any) -> None:
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(EngFormatter(unit="B"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _label(figure: Any, axes: Any, task: str, points: Sequence[Row]) -> None:
    """Names beside the points, kept apart, with a thin line to the point where one had to move."""
    from matplotlib.patheffects import withStroke

    scale = 72 / figure.dpi
    places = axes.transData.transform([(r.nbytes, 100 * _value(r.scores[task])) for r in points]) * scale
    low, high = (axes.transAxes.transform((0, end))[1] * scale for end in (0, 1))
    wanted = [Label(r.label, float(x) + 6, float(y)) for r, (x, y) in zip(points, places, strict=True)]
    drawn = [(float(x), float(y)) for x, y in places]
    placed = place_labels(wanted, _SIZE, low + 4, high - 4, drawn)
    for row, want, label in zip(points, wanted, placed, strict=True):
        moved = abs(label.y - want.y) > 1
        axes.annotate(
            label.text, (row.nbytes, 100 * _value(row.scores[task])), (6 + 4 * moved, label.y - want.y),
            textcoords="offset points", fontsize=_SIZE, va="center", annotation_clip=False,
            arrowprops=_LEADER if moved else None, path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )  # fmt: skip


def _has(row: Row, task: str) -> bool:
    return task in row.scores and row.scores[task].value is not None


def _value(score: Score) -> float:
    return score.value if score.value is not None else 0.0
