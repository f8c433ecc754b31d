"""A merge recipe as a model: what `deltakit.delta.open` calls for MODEL strings that name a recipe."""

from __future__ import annotations

from pathlib import Path

from deltakit.delta.open import Model
from deltakit.merge.plan import plan_merge
from deltakit.merge.recipe import merge_recipe
from deltakit.recipe import load_recipe

__all__ = ["open_recipe", "recipe_models"]


def open_recipe(path: Path) -> Model:
    """The merged model as a lazy view: nothing is written, everything is computed while it is read."""
    return plan_merge(load_recipe(path, merge_recipe())).model(str(path))


def recipe_models(path: Path) -> tuple[str, ...]:
    """Every MODEL string that a recipe names, its base first."""
    recipe = load_recipe(path, merge_recipe())
    return (*([recipe.base] if recipe.base else []), *(item.model for item in recipe.models))
