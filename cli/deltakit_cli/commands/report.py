"""deltakit report: results as one page with plots, and as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deltakit_cli.options import dry_run_option, example, format_option, output_option, overwrite_option
from deltakit_cli.output import console, emit

if TYPE_CHECKING:
    from deltakit.report.page import Page


@click.command(
    epilog=example(
        'deltakit report results.json -o report.html --line base --line "math expert"\n'
        "deltakit report results.json diff.json models/math -o report.md --plots plots"
    )
)
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RESULT...")
@output_option(required=False, help="The page: .html is one file with everything inside, .md is tables and links.")
@click.option("--plots", type=click.Path(path_type=Path), help="Also save every picture here, as SVG and PNG.")
@click.option(
    "--line", "lines", multiple=True, metavar="NAME", help="Draw this model as a line in accuracy against bytes."
)
@click.option("--title", default="deltakit report", show_default=True, help="Heading of the page.")
@dry_run_option
@overwrite_option
@format_option
def command(
    sources: Sequence[Path], output: Path | None, plots: Path | None, lines: Sequence[str], title: str, dry_run: bool,
    overwrite: bool, fmt: str,
) -> None:  # fmt: skip
    """Print the table of results and draw a page: accuracy by model and task, accuracy against bytes, change by layer
    and module, losses; the numbers stand beside every picture.

    RESULT is what `deltakit eval -o` or `deltakit sweep -o` wrote, what `deltakit diff --format json` printed, or a
    folder of `deltakit sft`.
    """
    from deltakit.errors import RecipeError
    from deltakit.report import build_page, read_sources, write_report
    from deltakit.report.write import check_output_name

    if plots and not output:
        raise RecipeError("--plots without -o", remedy="give -o report.html too")
    if output:
        check_output_name(output)
    page = build_page(read_sources(sources), title=title, lines=lines)
    result: dict[str, Any] = {"page": page, "output": str(output) if output else None, "plots": None, "bytes": None}
    if output and not dry_run:
        made = write_report(page, output, plots=plots, overwrite=overwrite)
        result |= {"plots": str(plots) if plots else None, "bytes": made.nbytes, "pictures": list(made.pictures)}
    emit(result if fmt != "json" else {**result, "page": None, "sections": _plain(page)}, _human, fmt)


def _plain(page: Page) -> list[dict[str, Any]]:
    return [
        {"title": s.title, "columns": s.columns, "rows": s.rows, "groups": s.groups} for s in page.sections
    ]  # fmt: skip


def _human(result: Mapping[str, Any]) -> None:
    out, page = console(), result["page"]
    first = page.sections[0]
    out.print(_table(first))
    if result["bytes"] is not None:
        out.print(f"wrote {result['output']}: {len(page.sections)} sections, {result['bytes']:,} bytes")
    elif result["output"]:
        out.print(f"would write {result['output']}: {', '.join(s.title for s in page.sections)}")
    if result["plots"]:
        out.print(f"wrote {result['plots']}: {len(result['pictures'])} pictures")


def _table(section: Any) -> Any:
    """A section as a table on the terminal, with a line above each group."""
    from rich.table import Table
    from rich.text import Text

    from deltakit.report.html import cell_text

    made = Table(title=section.title, title_justify="left", box=None, pad_edge=False)
    for i, column in enumerate(section.columns):
        made.add_column(column, justify="right" if i else "left", overflow="fold")
    last = ""
    for i, row in enumerate(section.rows):
        group = section.groups[i] if section.groups else ""
        if group and group != last:
            made.add_row(Text(group, style="bold"))
        last = group
        made.add_row(*(Text(("  " if group and not j else "") + cell_text(cell)) for j, cell in enumerate(row)))
    return made
