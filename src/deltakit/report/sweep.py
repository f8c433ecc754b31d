"""A sweep: accuracy over what was searched, every candidate in a table, the winner's test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deltakit.errors import InputError
from deltakit.report.figure import new_figure, style_of
from deltakit.report.page import Cell, Picture, Section
from deltakit.report.results import Score, whiskers

__all__ = ["is_sweep", "read_sweep", "sections"]

Rows = Sequence[Mapping[str, Any]]


def is_sweep(found: Mapping[str, Any]) -> bool:
    """Whether parsed JSON says that it is a sweep's result."""
    return found.get("action") == "sweep"


def read_sweep(found: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The result of a sweep; InputError where its page cannot be made of it."""
    try:
        sections(found)
    except (KeyError, TypeError, ValueError, StopIteration) as wrong:
        problem = f"{where}: no result of `deltakit sweep` ({type(wrong).__name__}: {wrong})"
        raise InputError(problem, remedy="give the file that `deltakit sweep -o` writes") from None
    return found


def sections(result: Mapping[str, Any], number: int = 1) -> list[Section]:
    """Of a result of `deltakit sweep` (its keys: deltakit.pipeline.sweep.result): the candidates by rank, with a
    picture, then the test of the winner."""
    scored = [row for row in result["candidates"] if row["objective"] is not None]
    fields, tasks = list(result["fields"]), list(result["tasks"])
    columns = (
        "rank",
        "id",
        *fields,
        *(f"{task} %" for task in tasks),
        "objective %",
        "behind, points",
        "best in draws %",
    )
    ordered = sorted(scored, key=lambda row: int(row["rank"]))
    failed = [row for row in result["candidates"] if row["error"]]
    text = " ".join(result["notes"])
    cells = tuple(_cells(row, fields, tasks) for row in (*ordered, *failed))
    alt = f"Accuracy of {len(scored)} candidates over {', '.join(fields)}"
    picture = Picture(f"sweep-{number}", alt, draw(scored, fields, tasks, result["winner"]["id"]))
    return [
        Section("Sweep: candidates on the items of the choice", text, columns, cells, (), picture),
        _test(result, tasks),
    ]


def _cells(row: Mapping[str, Any], fields: Sequence[str], tasks: Sequence[str]) -> tuple[Cell, ...]:
    settings = [_plain(row["settings"][field]) for field in fields]
    if row["objective"] is None:
        return ("failed", row["id"], *settings, *("-" for _ in tasks), "-", "-", "-")
    behind, wins = row["behind"], row["wins"]
    within = " (within noise)" if behind["within_noise"] and row["rank"] != 1 else ""
    scores = [_percent(row["tasks"][task]["accuracy"], row["tasks"][task]["stderr"]) for task in tasks]
    far = "-" if row["rank"] == 1 else f"{_percent(behind['difference'], behind['stderr'])}{within}"
    share = "-" if wins is None else f"{100 * wins:.1f}"
    return (str(row["rank"]), row["id"], *settings, *scores, _percent(row["objective"], row["stderr"]), far, share)


def _test(result: Mapping[str, Any], tasks: Sequence[str]) -> Section:
    """The one test; intervals of 95 %."""
    rows = result["test"]["models"]
    gap = result["test"]["gap"]
    shared = any(note.startswith("WARNING") for note in result["notes"])
    apart = "" if shared else ", on items that no candidate was chosen by"
    more = "less" if gap["difference"] < 0 else "more"
    text = (
        f"Scored once{apart}; 95 % intervals in brackets. The winner scored "
        f"{_percent(abs(gap['difference']), gap['stderr'])} points {more} where it was chosen."
    )
    columns = ("model", *(f"{task} %" for task in tasks), "objective %", "winner ahead by, points")
    return Section("Sweep: the winner on the test", text, columns, tuple(_tested(row, tasks) for row in rows))


def _tested(row: Mapping[str, Any], tasks: Sequence[str]) -> tuple[Cell, ...]:
    scores = [_interval(row["tasks"][task]["accuracy"], row["tasks"][task]) for task in tasks]
    ahead = row["ahead"]
    far = "-" if ahead is None else _percent(ahead["difference"], ahead["stderr"])
    return (row["name"], *scores, _interval(row["objective"], row), far)


def _percent(value: float, error: float | None) -> str:
    return f"{100 * value:.1f}" + ("" if error is None else f" ± {100 * error:.1f}")


def _interval(value: float, ends: Mapping[str, Any]) -> str:
    if ends["low"] is None:
        return f"{100 * value:.1f}"
    return f"{100 * value:.1f} [{100 * ends['low']:.1f}, {100 * ends['high']:.1f}]"


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def draw(rows: Rows, fields: Sequence[str], tasks: Sequence[str], winner: str) -> Any:
    """Lines over one field of numbers; the objective over two fields, as a map where most combinations were tried and
    as points where values were drawn; else candidates by rank."""
    if len(fields) == 1 and all(_number(row["settings"][fields[0]]) for row in rows):
        return _lines(rows, fields[0], tasks, winner)
    if len(fields) == 2 and len(rows) > 3:
        dense = len(_values(rows, fields[0])) * len(_values(rows, fields[1])) <= 2 * len(rows)
        if dense:
            return _map(rows, fields, winner)
        if all(_number(row["settings"][field]) for row in rows for field in fields):
            return _points(rows, fields, winner)
    return _ranks(rows, tasks)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _lines(rows: Rows, field: str, tasks: Sequence[str], winner: str) -> Any:
    figure, (axes,) = new_figure(7, 3.8)
    ordered = sorted(rows, key=lambda row: float(row["settings"][field]))
    xs = [row["settings"][field] for row in ordered]
    for i, task in enumerate(tasks):
        _bars(axes, xs, [row["tasks"][task] for row in ordered], "accuracy", task, i)
    if len(tasks) > 1:
        axes.plot(xs, [100 * row["objective"] for row in ordered], "k--", linewidth=1, label="objective")
    best = next(row["settings"][field] for row in ordered if row["id"] == winner)
    axes.axvline(best, color="grey", linewidth=0.8, linestyle=":", label=f"winner, {_plain(best)}")
    axes.set(xlabel=field, ylabel="accuracy, %")
    axes.legend(frameon=False, fontsize=8)
    return figure


def _bars(axes: Any, xs: Sequence[Any], scores: Rows, key: str, label: str, index: int) -> None:
    """Points with 95 % whiskers; those of a task have width at 0 and 100 %, too."""
    ys = [100 * s[key] for s in scores]
    errors = whiskers([Score(s[key], s["stderr"], s.get("n", 0)) for s in scores])
    axes.errorbar(xs, ys, yerr=errors, label=label, markersize=5, linewidth=1, capsize=2, **style_of(index))


def _map(rows: Rows, fields: Sequence[str], winner: str) -> Any:
    """Where two candidates have one place, the later one is shown."""
    down, across = (_values(rows, field) for field in fields)
    grid = [[float("nan")] * len(across) for _ in down]
    for row in rows:
        i, j = (values.index(row["settings"][f]) for values, f in zip((down, across), fields, strict=True))
        grid[i][j] = 100 * row["objective"]
    figure, (axes,) = new_figure(2.2 + 0.7 * len(across), 1.8 + 0.4 * len(down))
    image = axes.imshow(grid, cmap="cividis", aspect="auto", origin="lower")
    axes.grid(False)
    axes.set_xticks(range(len(across)), [_plain(v) for v in across], fontsize=8)
    axes.set_yticks(range(len(down)), [_plain(v) for v in down], fontsize=8)
    axes.set(xlabel=fields[1], ylabel=fields[0])
    best = next(row["settings"] for row in rows if row["id"] == winner)
    axes.plot(across.index(best[fields[1]]), down.index(best[fields[0]]), "r*", markersize=10)
    figure.colorbar(image, ax=axes, label="objective, %")
    return figure


def _points(rows: Rows, fields: Sequence[str], winner: str) -> Any:
    figure, (axes,) = new_figure(6, 4.2)
    xs, ys = ([row["settings"][field] for row in rows] for field in reversed(fields))
    shades = axes.scatter(xs, ys, c=[100 * row["objective"] for row in rows], cmap="cividis", s=45)
    best = next(row["settings"] for row in rows if row["id"] == winner)
    axes.plot(best[fields[1]], best[fields[0]], "ro", markersize=12, fillstyle="none", label="winner")
    axes.set(xlabel=fields[1], ylabel=fields[0])
    axes.legend(frameon=False, fontsize=8)
    figure.colorbar(shades, ax=axes, label="objective, %")
    return figure


def _values(rows: Rows, field: str) -> list[Any]:
    """What a field was set to, numbers in rising order."""
    found = list(dict.fromkeys(row["settings"][field] for row in rows))
    return sorted(found) if all(map(_number, found)) else found


def _ranks(rows: Rows, tasks: Sequence[str]) -> Any:
    figure, (axes,) = new_figure(7, 3.8)
    ordered = sorted(rows, key=lambda row: int(row["rank"]))
    xs = list(range(1, len(ordered) + 1))
    for i, task in enumerate(tasks):
        axes.plot(
            xs, [100 * row["tasks"][task]["accuracy"] for row in ordered], linestyle="", label=task, **style_of(i)
        )
    _bars(axes, xs, ordered, "objective", "objective", len(tasks))
    axes.set(xlabel="rank", ylabel="accuracy, %")
    axes.legend(frameon=False, fontsize=8)
    return figure
