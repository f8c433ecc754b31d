"""The options that many verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["dry_run_option", "example", "format_option", "output_option", "overwrite_option", "set_option"]

F = TypeVar("F", bound=Callable[..., Any])


def format_option(function: F) -> F:
    """--format auto|human|json|quiet, passed as `fmt`."""
    return click.option(
        "--format", "fmt", type=click.Choice(["auto", "human", "json", "quiet"]), default="auto", show_default=True,
        help="What stdout carries.",
    )(function)  # fmt: skip


def dry_run_option(function: F) -> F:
    """--dry-run, passed as `dry_run`."""
    return click.option("--dry-run", is_flag=True, help="Show the plan; read no weights, write nothing.")(function)


def overwrite_option(function: F) -> F:
    """--overwrite, passed as `overwrite`."""
    return click.option("--overwrite", is_flag=True, help="Replace an existing output once the new one is whole.")(
        function
    )


def output_option(required: bool = True, help: str = "Where the result goes.") -> Callable[[F], F]:
    """-o/--output PATH, passed as `output`."""
    return click.option("-o", "--output", type=click.Path(path_type=Path), required=required, help=help)


def set_option(function: F) -> F:
    """--set a.b=c, repeatable, passed as `overrides`."""
    return click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a recipe field.")(
        function
    )


def example(text: str) -> str:
    """An epilog that keeps its lines: the example every verb shows."""
    return "\b\nExample:\n" + "\n".join("  " + line for line in text.strip().splitlines())
