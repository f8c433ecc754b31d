"""deltakit ls: what there is to choose from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from deltakit_cli.catalogue import KINDS, listing
from deltakit_cli.options import example, format_option
from deltakit_cli.output import console, emit, table


@click.command(epilog=example("deltakit ls\ndeltakit ls methods\ndeltakit ls recipes --format json"))
@click.argument("kind", type=click.Choice(sorted(KINDS)), required=False)
@format_option
def command(kind: str | None, fmt: str) -> None:
    """List merge methods, primitives (of deltas, and behind a merge), codecs, tasks, modes of answering, scorers of
    drawn answers, or recipes, each with one line."""
    emit({k: listing(k) for k in ([kind] if kind else sorted(KINDS))}, _show, fmt)


def _show(found: Mapping[str, Any]) -> None:
    out = console()
    for kind, items in found.items():
        more = [key for key in items[0] if key not in ("name", "summary")] if items else []
        rows = [[i["name"], i["summary"], *(_text(i[key]) for key in more)] for i in items]
        out.print(table([kind, "", *more], rows))
        out.print()
    out.print("deltakit explain NAME tells more")


def _text(value: Any) -> str:
    """A cell: a list with spaces between, nothing for None."""
    return " ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
