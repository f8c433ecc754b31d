"""deltakit explain: one method, primitive, codec or task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from deltakit_cli.catalogue import explained
from deltakit_cli.options import example, format_option
from deltakit_cli.output import console, emit, table


@click.command(epilog=example("deltakit explain dare_ties\ndeltakit explain svd_mixed\ndeltakit explain gsm8k:cot8"))
@click.argument("name")
@format_option
def command(name: str, fmt: str) -> None:
    """Say what NAME does, where it comes from, and which parameters it takes; of a method, what it needs and costs; of
    a task ("gsm8k", "gsm8k:cot8") how it asks, what counts as an answer, and whether its data are here."""
    emit(explained(name), _show, fmt)


def _show(found: Mapping[str, Any]) -> None:
    out = console()
    out.print(f"{found['name']} ({found['kind']})")
    out.print()
    out.print(found["text"], markup=False)
    if found.get("facts"):
        out.print()
        out.print(table(["", ""], [[key, value] for key, value in found["facts"].items()]))
    if found["parameters"]:
        out.print()
        rows = [[p["name"], p["type"], p["default"]] for p in found["parameters"]]
        out.print(table(["parameter", "type", "default"], rows))
