"""A merge recipe as a model: what `deltakit.delta.open` calls for MODEL strings that name a recipe."""

from __future__ import annotations

from pathlib import Path

from deltakit.delta.open import Model
from deltakit.merge.plan import plan_merge
from deltakit.merge.recipe import merge_recipe
from deltakit.recipe import load_recipe
from deltakit.tensors import TensorMap

__all__ = ["merged", "open_recipe"]


def open_recipe(path: Path) -> Model:
    """The merged model as a lazy view: nothing is written, everything is computed while it is read."""
    return plan_merge(load_recipe(path, merge_recipe())).model(str(path))


def merged(path: Path) -> TensorMap:
    """Its tensors alone."""
    return open_recipe(path).tensors
