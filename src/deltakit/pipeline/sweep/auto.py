"""`deltakit merge --auto`: a merge whose factor, or whose weights, are chosen by a sweep on held-out items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deltakit.errors import RecipeError
from deltakit.pipeline.sweep.recipe import SweepRecipe, sweep_recipe
from deltakit.recipe import make_recipe
from deltakit.registry import did_you_mean

__all__ = ["SEARCHES", "auto_sweep", "place_of"]

SEARCHES = ("lambda", "weights")
_LAMBDA = {"from": 0.1, "to": 1.2, "step": 0.1}
_WEIGHT = {"from": 0.2, "to": 1.0, "step": 0.2}
_MOST = 3  # models whose weights are searched on a grid: 5 values each
ITEMS = 200  # of each task, to choose by and to test on


def auto_sweep(
    document: Mapping[str, Any],
    tasks: Sequence[str],
    *,
    search: str = "lambda",
    limit: int = ITEMS,
    data: str | Mapping[str, str] | None = None,
) -> SweepRecipe:
    """The sweep of a merge: one factor for all models ("lambda", 0.1 to 1.2), or each model's weight (0.2 to 1.0);
    `limit` items of each task to choose by, as many to test on. RecipeError without tasks."""
    if not tasks:
        raise RecipeError(
            "--auto chooses by tasks, and none is named", remedy="add --tasks, e.g. --tasks gsm8k,math500"
        )
    if search not in SEARCHES:
        raise RecipeError(f"--search {search!r} is no search", remedy=did_you_mean(search, list(SEARCHES)))
    models = document.get("models", ())
    if search == "weights" and len(models) > _MOST:
        remedy = "write a sweep recipe with sampler: optuna(trials=60), see deltakit init sweep/lambda"
        raise RecipeError(f"a grid over the weights of {len(models)} models is too large", remedy=remedy)
    fields = {"lambda": _LAMBDA} if search == "lambda" else {f"models.{i}.weight": _WEIGHT for i in range(len(models))}
    items = {"limit": limit, "data": data}
    given = {"merge": dict(document), "search": fields, "tasks": list(tasks), "select": items, "test": items}
    return make_recipe(given, sweep_recipe())


def place_of(out: Path) -> Path:
    """Where the sweep's result lies: beside the model."""
    return out.with_name(f"{out.name}.sweep.json")
