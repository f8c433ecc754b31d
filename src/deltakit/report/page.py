"""A report before it is HTML or Markdown: sections, each a picture with its numbers in a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deltakit.report.sources import Sources

__all__ = ["Cell", "Fold", "Page", "Picture", "Section", "build_page"]

Cell = str | int | float | None


@dataclass(frozen=True)
class Picture:
    """A figure under a file name's stem; `alt` says in words what it shows."""

    stem: str
    alt: str
    figure: Any


@dataclass(frozen=True)
class Fold:
    """Texts to read under a heading that opens: items, each a list of (label, text)."""

    title: str
    items: tuple[tuple[tuple[str, str], ...], ...]


@dataclass(frozen=True)
class Section:
    """A title, a sentence, a picture or none, and the numbers behind it; `groups` gives each row's group, if any.
    `folds` are texts to read; a section of them alone has no columns."""

    title: str
    text: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    groups: tuple[str, ...] = ()
    picture: Picture | None = None
    folds: tuple[Fold, ...] = ()


@dataclass(frozen=True)
class Page:
    """The whole report."""

    title: str
    sections: tuple[Section, ...]


def build_page(sources: Sources, *, title: str = "deltakit report", lines: Sequence[str] = ()) -> Page:
    """Every section that the sources have something for. `lines` names models that are drawn as lines in accuracy
    against bytes; the first of them (else the first model) is what the others are compared with, item by item.
    RecipeError for a name that is not in the results, InputError for nothing to show."""
    from deltakit.errors import InputError
    from deltakit.report import accuracy, heatmap, knobs, losses, measured, pareto, spectra, sweep, vectors

    sections: list[Section] = []
    if sources.rows:
        sections.append(accuracy.section(sources.rows))
        sections.extend(pareto.sections(sources.rows, lines))
        sections.extend(knobs.sections(sources.rows, lines))
        sections.extend(_differences(sources, lines))
    for number, result in enumerate(sources.sweeps, 1):
        sections.extend(sweep.sections(result, number))
    sections.extend(heatmap.section(pair, number) for number, pair in enumerate(sources.comparisons, 1))
    for number, found in enumerate(sources.vectors, 1):
        sections.extend(vectors.sections(found, number))
    sections.extend(spectra.section(curves, number) for number, curves in enumerate(sources.spectra, 1))
    if sources.curves:
        sections.append(losses.section(sources.curves))
    if sources.measured:
        sections.append(measured.section(sources.measured))
    if not sections:
        raise InputError("nothing to report", remedy="name at least one result file")
    return Page(title, tuple(sections))


def _differences(sources: Sources, lines: Sequence[str]) -> list[Section]:
    """Paired comparisons where two models or more have samples; what cannot be compared says why in its place."""
    from deltakit.errors import InputError
    from deltakit.report.paired import compare
    from deltakit.report.paired.page import differences

    if len(sources.runs) < 2:
        return []
    names = [run.name for run in sources.runs]
    try:
        compared = compare(sources.runs, against=next((line for line in lines if line in names), None))
    except InputError as error:
        return [Section("Differences, item by item", str(error), (), ())]
    return differences(compared)
