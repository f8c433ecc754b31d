"""The files of a finished sweep beside its result: the winner's recipe and a page to look at."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deltakit.pipeline.sweep.candidate import recipe_text, spelled

__all__ = ["WINNER", "said_of", "winner_text", "write_pages"]

WINNER = "winner.yaml"
_DRAWING = ("matplotlib", "jinja2")


def said_of(result: Mapping[str, Any]) -> list[str]:
    """How the winner was chosen, a line each: for model cards."""
    winner, noise = result["winner"], result["noise"]
    tested = next(m for m in result["test"]["models"] if m["role"] == "winner")
    weights = ", ".join(f"{name} x {task['weight']:g}" for name, task in result["tasks"].items())
    chosen, test = result["select"], result["test_items"]
    shared = [note for note in result["notes"] if note.startswith("WARNING")]  # the test's items among the others
    apart = "" if shared else ", by which nothing was chosen"
    return [
        f"Chosen among {noise['models']} candidates by a sweep of {', '.join(result['fields'])} ({result['sampler']}): "
        f"{spelled(winner['settings'])}.",
        f"Objective: mean accuracy of {weights}; {_percent(winner)} on the {chosen['split']} items it was chosen by, "
        f"{_percent(tested)} on the {test['split']} items{apart}.",
        noise["text"],
        *shared,
    ]


def _percent(scored: Mapping[str, Any]) -> str:
    spread = "" if scored["stderr"] is None else f" ± {100 * scored['stderr']:.1f}"
    return f"{100 * scored['objective']:.1f}{spread} %"


def winner_text(result: Mapping[str, Any]) -> str:
    """The winner's merge recipe as a file."""
    return recipe_text(result["winner"]["merge"], f"deltakit merge {WINNER} -o merged: {said_of(result)[0]}")


def write_pages(result: Mapping[str, Any], folder: Path) -> None:
    """winner.yaml; and, where the libraries that draw are installed, sweep.html, sweep.md and the pictures in it."""
    (folder / WINNER).write_text(winner_text(result), encoding="utf-8")
    if any(find_spec(name) is None for name in _DRAWING):
        return
    from deltakit.report.figure import as_svg
    from deltakit.report.html import as_html
    from deltakit.report.markdown import as_markdown
    from deltakit.report.page import Page
    from deltakit.report.sweep import sections

    page = Page("A sweep of " + ", ".join(result["fields"]), tuple(sections(result)))
    pictures = [s.picture for s in page.sections if s.picture]
    for picture in pictures:
        (folder / f"{picture.stem}.svg").write_bytes(as_svg(picture.figure))
    (folder / "sweep.html").write_bytes(as_html(page))
    (folder / "sweep.md").write_bytes(as_markdown(page, {p.stem: f"{p.stem}.svg" for p in pictures}))
