"""Data goes to stdout, in the format that was asked for; everything else goes to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["SCHEMA_VERSION", "console", "emit", "table"]

SCHEMA_VERSION = 1


def console() -> Any:
    """A rich console on stdout (plain when it is no terminal). Names in [brackets] are printed as they are."""
    from rich.console import Console

    terminal = sys.stdout.isatty()
    return Console(width=None if terminal else 140, highlight=False, soft_wrap=not terminal, markup=False, emoji=False)


def table(columns: list[str], rows: list[list[Any]], title: str = "") -> Any:
    """A rich table; numbers to the right."""
    from rich.table import Table

    made = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for i, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(r[i], int | float) for r in rows)
        made.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        made.add_row(*(f"{c:,}" if isinstance(c, int) else f"{c:.4g}" if isinstance(c, float) else str(c) for c in row))
    return made


def emit(result: Mapping[str, Any], human: Callable[[Mapping[str, Any]], None], fmt: str = "auto") -> None:
    """Print a result: `human` draws it, json prints it with its schema version, quiet prints nothing."""
    if fmt == "quiet":
        return
    if fmt == "json":
        print(json.dumps({"schema_version": SCHEMA_VERSION, **result}, indent=2, sort_keys=True, default=_plain))
        return
    human(result)


def _plain(value: Any) -> Any:
    """numpy numbers and paths as JSON."""
    return value.item() if hasattr(value, "item") else str(value)
