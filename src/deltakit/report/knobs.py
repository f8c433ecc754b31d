"""Accuracy over a setting that the models' names or expressions tell: density, lambda, and the like."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deltakit.report.accuracy import in_words, tasks_of
from deltakit.report.figure import COLOURS, new_figure, style_of
from deltakit.report.page import Picture, Section
from deltakit.report.results import LOSS, Row, whiskers

__all__ = ["Knob", "knobs_of", "sections"]

_NAMES = {"keep": "density", "density": "density", "lambda": "lambda", "lam": "lambda", "λ": "lambda",
          "scale": "lambda", "weight": "weight", "t": "t", "epsilon": "epsilon", "gamma": "gamma"}  # fmt: skip
_SAID = re.compile(rf"(?<!\w)({'|'.join(sorted(_NAMES, key=len, reverse=True))})\s*[=: ]?\s*(\d*\.?\d+)(?![\w.])", re.I)
_FACTOR = re.compile(r"([+-])\s*(\d*\.?\d+)\s*\*\s*([^+*]+?)(?=\s[+-]\s|$)")
_DASHES = ("--", ":", "-.")
_LEAST = 3
_TICKS = 6
_TOGETHER = 7  # series in one picture


@dataclass(frozen=True)
class Knob:
    """One model at one value of a setting; `series` is its name without that."""

    setting: str
    value: float
    series: str
    row: Row


def knobs_of(row: Row) -> list[Knob]:
    """Each "density 0.2", "keep 0.5", "lambda=0.7" in the name; else the factor of an expression whose terms all have
    the same one (BASE + 0.7*A + 0.7*B: lambda 0.7)."""
    found = []
    for said in _SAID.finditer(row.name):
        rest = f"{row.name[: said.start()]}{row.name[said.end() :]}"
        series = re.sub(r"\s+", " ", rest).strip(" ,:;-") or "models"
        found.append(Knob(_NAMES[said[1].lower()], float(said[2]), series, row))
    terms = _FACTOR.findall(row.source)
    if not found and terms and len({(sign, factor) for sign, factor, _ in terms}) == 1:
        factor = float(terms[0][1]) * (-1 if terms[0][0] == "-" else 1)
        names = " + ".join(_last(name) for _, _, name in terms)
        found.append(Knob("lambda", factor, names, row))
    return found


def sections(rows: Sequence[Row], lines: Sequence[str] = ()) -> list[Section]:
    """One section a setting that some series takes at least three values of, or several where there are more series
    than colours; `lines` are drawn as levels."""
    by_setting: dict[str, dict[str, list[Knob]]] = {}
    for knob in (knob for row in rows for knob in knobs_of(row)):
        by_setting.setdefault(knob.setting, {}).setdefault(knob.series, []).append(knob)
    levels = [row for row in rows if row.name in lines]
    found = []
    for setting, series in by_setting.items():
        kept = {name: sorted(ks, key=lambda k: k.value) for name, ks in series.items() if _enough(ks)}
        tasks = [t for t in tasks_of([k.row for ks in kept.values() for k in ks]) if t != LOSS]
        if kept and tasks:
            parts = [dict(list(kept.items())[i : i + _TOGETHER]) for i in range(0, len(kept), _TOGETHER)]
            numbers = [f" ({i} of {len(parts)})" if len(parts) > 1 else "" for i in range(1, len(parts) + 1)]
            found += [_section(setting, part, levels, tasks, n) for part, n in zip(parts, numbers, strict=True)]
    return found


def _enough(knobs: Sequence[Knob]) -> bool:
    return len({knob.value for knob in knobs}) >= _LEAST


def _last(name: str) -> str:
    return name.strip().rstrip("/").rpartition("/")[2]


def _section(
    setting: str, series: dict[str, list[Knob]], levels: Sequence[Row], tasks: Sequence[str], part: str
) -> Section:
    cells = tuple(
        (k.series, f"{k.value:g}", *(in_words(k.row.scores.get(task), task) for task in tasks))
        for knobs in series.values()
        for k in knobs
    )
    alt = f"Accuracy on {', '.join(tasks)} over {setting} for {', '.join(series)}"
    return Section(
        f"Accuracy over {setting}{part}",
        "Models that differ in one setting alone, as their names say; whiskers are 95 % intervals, level lines are "
        "models for comparison.",
        ("models", setting, *(f"{task} %" for task in tasks)),
        cells,
        (),
        Picture("-".join(["over", setting, *part.strip(" ()").split()]), alt, draw(setting, series, levels, tasks)),
    )


def draw(setting: str, series: dict[str, list[Knob]], levels: Sequence[Row], tasks: Sequence[str]) -> Any:
    """A panel a task, a line a series."""
    figure, panels = new_figure(max(6.0, 4.6 * len(tasks)), 3.9, columns=len(tasks))
    for axes, task in zip(panels, tasks, strict=True):
        for i, (name, knobs) in enumerate(series.items()):
            known = [(k.value, s) for k in knobs if (s := k.row.scores.get(task)) and s.value is not None]
            xs, ys = [x for x, _ in known], [100 * (s.value or 0.0) for _, s in known]
            axes.errorbar(xs, ys, yerr=whiskers([s for _, s in known]), label=name, capsize=2, markersize=5,
                          linewidth=1.2, elinewidth=0.9, **style_of(i))  # fmt: skip
        for i, row in enumerate(levels):
            score, style = row.scores.get(task), {"color": COLOURS[-1], "linestyle": _DASHES[i % 3]}
            if score and score.value is not None:
                axes.axhline(100 * score.value, linewidth=1, label=row.name, **style)
        values = sorted({k.value for knobs in series.values() for k in knobs})
        if len(values) <= _TICKS:
            axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.set(xlabel=setting, ylabel=f"accuracy on {task}, %", ylim=(-4, 104))
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    return figure
