"""The winner of a sweep as a model on disk: its recipe beside it, and on its card how it was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deltakit.checkpoint import Progress, silent
from deltakit.checkpoint.staging import check_output, resolved
from deltakit.merge.plan.native import plan_recipe
from deltakit.merge.plan.recipe import merge_recipe
from deltakit.merge.write import Beside, MergeResult, merge
from deltakit.pipeline.sweep.files import said_of, winner_text
from deltakit.recipe import make_recipe

__all__ = ["RECIPE", "check_winner", "write_winner"]

RECIPE = "merge.yaml"


def check_winner(out: Path, overwrite: bool = False) -> None:
    """InputError, before anything is searched, where the winner could not be written."""
    check_output(resolved(out), overwrite)


def write_winner(
    result: Mapping[str, Any], out: Path, *, overwrite: bool = False, progress: Progress = silent
) -> MergeResult:
    """Write the winner of a sweep's result to `out`: a model folder with its merge recipe in merge.yaml, or a delta
    file where it ends in .delta. Card and manifest say how it was chosen. Raises the errors of merging."""
    plan = plan_recipe(make_recipe(result["winner"]["merge"], merge_recipe(), source="winner"))
    beside = Beside({RECIPE: winner_text(result).encode()}, tuple(said_of(result)))
    return merge(plan, out, overwrite=overwrite, progress=progress, beside=beside)
