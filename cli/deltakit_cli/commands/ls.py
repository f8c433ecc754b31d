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
    """List merge methods, primitives (of deltas, and behind a merge), codecs, tasks or recipes, each with one line."""
    emit({k: listing(k) for k in ([kind] if kind else sorted(KINDS))}, _show, fmt)


def _show(found: Mapping[str, Any]) -> None:
    out = console()
    for kind, items in found.items():
        out.print(table([kind, ""], [[i["name"], i["summary"]] for i in items]))
        out.print()
    out.print("deltakit explain NAME tells more")
