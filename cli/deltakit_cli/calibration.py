"""The options of verbs that look at text to see what enters a model's matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from deltakit.calibrate.sampling import Sampling

__all__ = ["BUILTIN", "calibration_options", "sampling_of"]

BUILTIN = "builtin"
F = TypeVar("F", bound=Callable[..., Any])
_NAMES = ("samples", "length", "batch")


def calibration_options(function: F) -> F:
    """--calibrate, --samples, --length, --batch, --hessians, passed by these names."""
    options = (
        click.option(
            "--calibrate", metavar=f"TEXT|{BUILTIN}",
            help="Code each layer for the inputs that the coded layers before it give, on a .txt or .jsonl file or a "
            "neutral text of our own.",
        ),
        click.option("--samples", type=click.IntRange(1), help="Stretches of the text, at most [default: 128]."),
        click.option("--length", type=click.IntRange(2), help="Tokens of each [default: 512, or what it can hold]."),
        click.option("--batch", type=click.IntRange(1), help="Stretches that run at once [default: 8]."),
        click.option(
            "--hessians", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
            help="Code for the inputs in the base instead: taken once, kept in FILE, and shared by all its fine-tunes.",
        ),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def sampling_of(given: Mapping[str, Any]) -> Sampling | None:
    """What --calibrate and its numbers say; None where no text is asked for. RecipeError for numbers without it."""
    from deltakit.calibrate.sampling import Sampling
    from deltakit.errors import RecipeError

    numbers = {n: given[n] for n in _NAMES if given.get(n) is not None}
    text = given.get("calibrate")
    if text is None:
        if numbers:
            raise RecipeError(
                f"--{next(iter(numbers))} is for calibration, and none is asked for",
                remedy=f"give --calibrate {BUILTIN}, or a text file",
            )
        return None
    return Sampling(None if text == BUILTIN else text, **numbers)
