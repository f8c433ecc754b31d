"""Writing a report: the page and, where asked for, its pictures as files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from deltakit.checkpoint.disk import write_file
from deltakit.checkpoint.staging import Staging
from deltakit.errors import RecipeError
from deltakit.manifest import digest, make_manifest
from deltakit.report.figure import as_png, as_svg
from deltakit.report.html import as_html
from deltakit.report.markdown import as_markdown
from deltakit.report.page import Page

__all__ = ["Written", "check_output_name", "write_one", "write_report"]

_ENDINGS = (".html", ".htm", ".md")


@dataclass(frozen=True)
class Written:
    """What was written: the page, and the folder of pictures if there is one."""

    path: Path
    nbytes: int
    plots: Path | None
    pictures: tuple[str, ...]


def check_output_name(out: Path, *more: str) -> None:
    """RecipeError for a name that says no known format; `more` endings are known to the caller."""
    if out.suffix.lower() not in (*_ENDINGS, *more):
        names = " or ".join([".html", ".md", *more])
        raise RecipeError(f"output {out}: unknown ending {out.suffix!r}", remedy=f"name it {names}")


def write_report(page: Page, out: Path, *, plots: Path | None = None, overwrite: bool = False) -> Written:
    """Write `out` (.html: one file with everything inside; .md: tables, and pictures by link) and, into the folder
    `plots`, every picture as SVG and PNG. Each output appears whole or not at all, the pictures first."""
    check_output_name(out)
    drawn = {section.picture.stem: section.picture for section in page.sections if section.picture}
    names: list[str] = []
    if plots is not None:
        pictures = {f"{stem}.svg": as_svg(p.figure) for stem, p in drawn.items()}
        pictures |= {f"{stem}.png": as_png(p.figure) for stem, p in drawn.items()}
        names = sorted(pictures)
        _write_folder(pictures, plots, overwrite)
    if out.suffix.lower() == ".md":
        raw = as_markdown(page, _addresses(list(drawn), plots, out) if plots else {})
    else:
        raw = as_html(page)
    write_one(raw, out, overwrite)
    return Written(out, len(raw), plots, tuple(names))


def _write_folder(pictures: dict[str, bytes], folder: Path, overwrite: bool) -> None:
    plan = {"action": "report", "files": {name: digest(raw) for name, raw in pictures.items()}}
    with Staging(folder, plan, overwrite) as staging:
        for name, raw in pictures.items():
            write_file(staging.folder / name, raw)
        staging.commit(make_manifest("report"))


def write_one(raw: bytes, out: Path, overwrite: bool) -> None:
    """One file, whole or not at all."""
    with Staging(out, {"action": "report", "digest": digest(raw)}, overwrite) as staging:
        write_file(staging.folder / out.name, raw)
        staging.commit_file(out.name)


def _addresses(stems: list[str], plots: Path, out: Path) -> dict[str, str]:
    """Pictures as seen from the page."""
    folder = os.path.relpath(plots.resolve(), out.resolve().parent)
    return {stem: Path(folder, f"{stem}.svg").as_posix() for stem in stems}
