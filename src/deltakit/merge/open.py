"""A merge recipe as a model: what `deltakit.delta.open` calls for MODEL strings that name a recipe."""

from __future__ import annotations

from pathlib import Path

from deltakit.delta.open import Model
from deltakit.merge.plan.request import plan_file, request_models

__all__ = ["open_recipe", "recipe_models"]


def open_recipe(path: Path) -> Model:
    """The merged model as a lazy view: nothing is written, everything is computed while it is read."""
    return plan_file(path).model(str(path))


def recipe_models(path: Path) -> tuple[str, ...]:
    """Every MODEL string that a recipe or a mergekit config names, its base first."""
    return request_models(path)
