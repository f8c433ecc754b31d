"""A comparison with a reference, as a screen shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from deltakit_cli.output import console, table

if TYPE_CHECKING:
    from deltakit.report.paired import Compared

__all__ = ["check_reference", "show_compared"]


def show_compared(found: Compared, show: int = 0) -> None:
    """A table a task, `show` items lost and gained of each pair, the legend and the warnings."""
    from deltakit.report.paired.page import folds
    from deltakit.report.paired.words import columns, legend, rows

    out = console()
    for task, label in found.labels.items():
        pairs = found.of_task(task)
        cells = [["" if c is None else c for c in row] for row in rows(found, task)]
        out.print(table(list(columns(pairs)), cells, f"{label} ({pairs[0].pairing.metric})"))
        out.print()
    for fold in (f for p in found.pairs if show for f in folds(p, found.reference.name, show)):
        out.print(f"{fold.title}:")
        for item in fold.items:
            out.print("\n".join(f"  {name}: {' '.join(text.split())}" for name, text in item), "\n")
    out.print(legend(found), soft_wrap=True)
    for line in found.warnings:
        out.print(f"warning: {line}", soft_wrap=True)


def check_reference(against: str, names: Sequence[str]) -> None:
    """RecipeError, with a suggestion, where no model is called so, and where there is nothing beside it."""
    from deltakit.errors import RecipeError
    from deltakit.registry import did_you_mean

    if against not in names:
        raise RecipeError(f"--against {against!r}: no model of that name", remedy=did_you_mean(against, list(names)))
    if len(names) < 2:
        raise RecipeError("--against with one model alone", remedy="name another model to compare with it")
