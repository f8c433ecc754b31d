"""Accuracy of every model on every task: dots with 95 % intervals, and the table of results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deltakit.report.figure import new_figure, style_of
from deltakit.report.page import Cell, Picture, Section
from deltakit.report.results import LOSS, Row, Score, whiskers

__all__ = ["in_words", "results_table", "section", "tasks_of"]

_TEXT = (
    "Accuracy in per cent ± standard error; whiskers in the picture are 95 % intervals (Wilson's where items are right "
    "or wrong). Bytes are what the model takes on disk beyond a base that is there anyway; the ratio is the whole "
    "model's weights over these."
)


def section(rows: Sequence[Row]) -> Section:
    """Rows keep their order; a group's rows stand together, where its first one stands."""
    rows = grouped(rows)
    tasks = [task for task in tasks_of(rows) if task != LOSS]
    columns, cells = results_table(rows)
    alt = f"Accuracy of {len(rows)} models on {', '.join(tasks)}"
    picture = Picture("accuracy", alt, draw(rows, tasks)) if tasks else None
    groups = tuple(row.group for row in rows)
    return Section("Accuracy by model and task", _TEXT, columns, cells, groups, picture)


def grouped(rows: Sequence[Row]) -> list[Row]:
    """Stable: by the first row of each group."""
    order = list(dict.fromkeys(row.group for row in rows))
    return sorted(rows, key=lambda row: order.index(row.group))


def tasks_of(rows: Sequence[Row]) -> list[str]:
    """Every task that some model has, in order of first mention; held-out loss last."""
    found = list(dict.fromkeys(task for row in rows for task in row.scores))
    return sorted(found, key=lambda task: task == LOSS)


def results_table(rows: Sequence[Row]) -> tuple[tuple[str, ...], tuple[tuple[Cell, ...], ...]]:
    """Columns and cells: model, bytes on disk, ratio, then one column a task."""
    tasks = tasks_of(rows)
    heads = [f"{task} (nats)" if task == LOSS else f"{task} %" for task in tasks]
    cells = tuple(
        (row.label, row.nbytes, row.ratio_text, *(in_words(row.scores.get(task), task) for task in tasks))
        for row in rows
    )
    return ("model", "bytes on disk", "ratio", *heads), cells


def in_words(score: Score | None, task: str) -> str:
    """ "97.5 ± 1.1": per cent with one decimal, a loss in nats with three."""
    if score is None:
        return "-"
    if score.value is None:
        return "not finite"
    unit, places = (1, 3) if task == LOSS else (100, 1)
    spread = "" if score.stderr is None else f" ± {score.stderr * unit:.{places}f}"
    return f"{score.value * unit:.{places}f}{spread}"


def draw(rows: Sequence[Row], tasks: Sequence[str]) -> Any:
    """A dot a model and task, models from top to bottom, with headings where groups begin."""
    heights, headings = _heights(rows)
    figure, (axes,) = new_figure(7.5, 0.9 + 0.27 * (len(rows) + len(headings)))
    for i, task in enumerate(tasks):
        shift = 0.16 * (i - (len(tasks) - 1) / 2)
        points = [(y + shift, s) for y, row in zip(heights, rows, strict=True) if (s := _score(row, task)) is not None]
        xs, ys = [100 * (s.value or 0.0) for _, s in points], [y for y, _ in points]
        axes.errorbar(xs, ys, xerr=whiskers([s for _, s in points]), linestyle="", capsize=2, label=task, markersize=5,
                      elinewidth=1, **style_of(i))  # fmt: skip
    axes.set_yticks(heights, [row.label for row in rows], fontsize=8)
    for y, heading in headings:
        axes.text(0, y, heading, transform=axes.get_yaxis_transform(), fontsize=8, weight="bold", va="center")
    axes.set(xlim=(-2, 102), ylim=(max(heights, default=0) + 0.7, -0.7), xlabel="accuracy, %")
    if tasks:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=min(4, len(tasks)), frameon=False, fontsize=8)
    return figure


def _heights(rows: Sequence[Row]) -> tuple[list[float], list[tuple[float, str]]]:
    """Where each row stands, and the headings of groups above them."""
    heights: list[float] = []
    headings: list[tuple[float, str]] = []
    y, last = 0.0, ""
    for row in rows:
        if row.group != last:
            headings.append((y, row.group))
            y, last = y + 1, row.group
        heights.append(y)
        y += 1
    return heights, headings


def _score(row: Row, task: str) -> Score | None:
    found = row.scores.get(task)
    return found if found is not None and found.value is not None else None
