"""Before and after, and the difference with its interval: one picture a task, or one of all tasks for one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deltakit.report.figure import COLOURS, new_figure
from deltakit.report.paired.compared import Compared, Pair
from deltakit.report.paired.words import Unit, unit_of

__all__ = ["draw", "panels"]

_GREY = "#777777"
_STYLES = {"better": (COLOURS[0], ">"), "worse": (COLOURS[1], "<"), "no difference shown": (_GREY, "o")}
_LONGEST = 44
_TALL = 25  # rows from which on numbers stand above, too


def panels(compared: Compared) -> list[tuple[str, list[Pair]]]:
    """What stands in one picture, with its heading: all tasks of one unit if one model is compared, else a task."""
    if len({p.model for p in compared.pairs}) > 1:
        return [(label, compared.of_task(task)) for task, label in compared.labels.items()]
    groups: dict[str, list[Pair]] = {}
    for p in compared.pairs:
        groups.setdefault(unit_of([p]).name, []).append(p)
    return [(", ".join(p.label for p in pairs), pairs) for pairs in groups.values()]


def draw(compared: Compared, pairs: Sequence[Pair]) -> Any:
    """Left: the reference's score and the model's, joined. Right: the difference with its 95 % interval around zero.

    Marks say the verdict as colours do: filled and pointing to the better or the worse side, or an open ring.
    """
    unit = unit_of(pairs)
    figure, (left, right) = new_figure(9.5, 1.5 + 0.3 * len(pairs), columns=2)
    heights = [float(i) for i in range(len(pairs))]
    for y, p in zip(heights, pairs, strict=True):
        _before_and_after(left, p, y, unit)
        _difference(right, p, y, unit)
    several = len({p.label for p in pairs}) > 1
    left.set_yticks(heights, [_cut(p.label if several else p.model) for p in pairs], fontsize=8)
    right.set_yticks(heights, ["" for _ in pairs])
    for axes in (left, right):
        axes.set_ylim(len(pairs) - 0.4, -0.6)
        if len(pairs) > _TALL:
            axes.tick_params(top=True, labeltop=True)
    name = f", {unit.name}" if unit.name else ""
    task = f" of {_cut(pairs[0].model)}" if several else f" on {pairs[0].label}"
    left.set_xlabel(f"score{task}{name}")
    right.set_xlabel(f"difference{f', {unit.step}' if unit.step else ''} (95 % interval)")
    right.axvline(0, color="black", linewidth=0.8)
    if unit.name == "%":
        left.set_xlim(-3, 103)
    _legend(figure, compared.reference.name, [p.verdict for p in pairs])
    return figure


def _before_and_after(axes: Any, p: Pair, y: float, unit: Unit) -> None:
    colour, mark = _STYLES[p.verdict]
    before, after = unit.scale * p.found.before, unit.scale * p.found.after
    axes.plot([before, after], [y, y], color=colour, linewidth=1.2, zorder=1)
    axes.plot([before], [y], "|", color="black", markersize=9, markeredgewidth=1.5, zorder=2)
    axes.plot([after], [y], _side(p, mark), color=colour, markersize=6, zorder=3, **_face(p, colour))


def _difference(axes: Any, p: Pair, y: float, unit: Unit) -> None:
    colour, mark = _STYLES[p.verdict]
    low, value, high = (unit.scale * v for v in (p.found.low, p.found.value, p.found.high))
    axes.errorbar([value], [y], xerr=[[max(0.0, value - low)], [max(0.0, high - value)]], fmt=_side(p, mark),
                  color=colour, markersize=6, capsize=2.5, elinewidth=1.1, **_face(p, colour))  # fmt: skip


def _side(p: Pair, mark: str) -> str:
    """Where less is better, better is to the left."""
    return {">": "<", "<": ">"}.get(mark, mark) if p.lower else mark


def _face(p: Pair, colour: str) -> dict[str, str]:
    return {"markerfacecolor": colour if p.significant else "white"}


def _legend(figure: Any, reference: str, verdicts: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color="black", marker="|", markersize=9, markeredgewidth=1.5, linestyle="",
                      label=f"reference: {_cut(reference)}")]  # fmt: skip
    for verdict, (colour, mark) in _STYLES.items():
        if verdict in verdicts:
            face = "white" if mark == "o" else colour
            handles.append(Line2D([], [], color=colour, marker=mark, linestyle="", markerfacecolor=face, label=verdict))
    figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False, fontsize=8)


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..."
