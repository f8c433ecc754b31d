"""Many checkpoints of one run as one entry of a recipe: `model: run/checkpoint-*`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from glob import glob, has_magic
from pathlib import Path

from deltakit.errors import InputError
from deltakit.merge.plan.recipe import MergeRecipe, ModelItem

__all__ = ["expanded", "natural", "series_of"]


def expanded(recipe: MergeRecipe) -> MergeRecipe:
    """A recipe whose entries with wildcards are replaced by an entry for each path that matches; every one has the
    weight and the parameters of the entry. InputError where nothing matches."""
    items = tuple(one for item in recipe.models for one in _each(item))
    return recipe if items == recipe.models else recipe.model_copy(update={"models": items})


def _each(item: ModelItem) -> Iterator[ModelItem]:
    found = series_of(item.model)
    if found == (item.model,):
        yield item
        return
    for path in found:
        name = f"{item.name}/{Path(path).name}" if item.name else ""
        yield item.model_copy(update={"model": path, "name": name})


def series_of(text: str) -> tuple[str, ...]:
    """The paths that a text with wildcards (*, ?, [..]) matches, checkpoint-9 before checkpoint-10; any other text, and
    one that is a path itself, stands for itself."""
    if not has_magic(text) or Path(text).exists() or " " in text:  # spaces stand in expressions only
        return (text,)
    found = tuple(sorted(glob(text), key=natural))
    if not found:
        raise InputError(f"no path matches {text!r}", remedy="check the pattern; it is taken from the working folder")
    return found


def natural(text: str) -> tuple[tuple[bool, int, str], ...]:
    """A key that sorts numbers within names by their value."""
    parts = re.split(r"(\d+)", text)
    return tuple((not p.isdigit(), int(p) if p.isdigit() else 0, p) for p in parts)
