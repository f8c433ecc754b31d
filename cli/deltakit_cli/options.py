"""The options that many verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = [
    "device_options",
    "drawing_options",
    "dry_run_option",
    "example",
    "format_option",
    "output_option",
    "overwrite_option",
    "set_option",
]

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


def drawing_options(seed: str) -> Callable[[F], F]:
    """--temperature, --top-p, --top-k, --seed: how tokens are drawn; `seed` says what it means here."""

    def add(function: F) -> F:
        function = click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help=seed)(function)
        function = click.option("--top-k", default=0, show_default=True, help="Draw from so many tokens; 0: from all.")(
            function
        )
        function = click.option(
            "--top-p", default=1.0, show_default=True, help="Draw from the smallest set of this probability."
        )(function)
        return click.option("--temperature", default=0.0, show_default=True, help="0 takes the likeliest token.")(
            function
        )

    return add


def device_options(function: F) -> F:
    """--device, --dtype, --hold: where and how models are computed and their terms held."""
    function = click.option(
        "--hold", default="fast", show_default=True, type=click.Choice(["fast", "packed"]),
        help="Deltas over a shared base in memory: unpacked, or packed as in their files (least memory, slower).",
    )(function)  # fmt: skip
    function = click.option(
        "--dtype", default="auto", show_default=True, help="auto: float32 on the CPU, else as stored."
    )(function)
    return click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda.")(function)


def example(text: str) -> str:
    """An epilog that keeps its lines: the example every verb shows."""
    return "\b\nExample:\n" + "\n".join("  " + line for line in text.strip().splitlines())
