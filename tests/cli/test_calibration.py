"""The options of calibration. Run: pytest tests/cli/test_calibration.py"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from deltakit.calibrate.sampling import Sampling
from deltakit.errors import RecipeError
from deltakit_cli.calibration import calibration_options, sampling_of


def given(*argv: str) -> dict[str, Any]:
    seen: dict[str, Any] = {}

    @click.command()
    @calibration_options
    def command(**options: Any) -> None:
        seen.update(options)

    found = CliRunner().invoke(command, argv)
    assert found.exit_code == 0, found.output
    return seen


def test_nothing_is_looked_at_unless_asked() -> None:
    assert sampling_of(given()) is None
    assert given()["hessians"] is None
    assert given("--hessians", "h")["hessians"] == Path("h")


def test_a_text_or_our_own() -> None:
    assert sampling_of(given("--calibrate", "builtin")) == Sampling()
    found = sampling_of(given("--calibrate", "a.txt", "--samples", "4", "--length", "9", "--batch", "2"))
    assert found == Sampling("a.txt", 4, 9, 2)


def test_numbers_without_a_text_are_refused() -> None:
    with pytest.raises(RecipeError, match="--length is for calibration"):
        sampling_of(given("--length", "9"))
