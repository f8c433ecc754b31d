"""A merge described by options instead of a file: the same recipe, the same checks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deltakit.errors import RecipeError
from deltakit.merge.plan.recipe import MergeRecipe, merge_recipe
from deltakit.recipe import load_recipe, make_recipe

__all__ = ["parse_model", "read_merge"]

_NAMED = re.compile(r"([A-Za-z0-9][\w.-]*)=(.+)", re.DOTALL)
_WEIGHTED = re.compile(r"(.+):([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)", re.DOTALL)


def parse_model(text: str) -> dict[str, Any]:
    """{"name", "model", "weight"} of "[NAME=]MODEL[:WEIGHT]". A path that exists is taken as it is."""
    item: dict[str, Any] = {}
    named = _NAMED.fullmatch(text)
    if named and not Path(text).exists():
        item["name"], text = named[1], named[2]
    weighted = _WEIGHTED.fullmatch(text)
    if weighted and not Path(text).exists():
        text, item["weight"] = weighted[1], float(weighted[2])
    head, colon, weight = text.rpartition(":")
    if colon and not Path(text).exists() and Path(head).exists():
        raise RecipeError(f"{text}: the weight {weight!r} is no number", remedy=f"write {head}:0.5")
    return {**item, "model": text}


def read_merge(
    path: Path | None, models: Sequence[str], options: Mapping[str, Any], overrides: Sequence[str] = ()
) -> MergeRecipe:
    """The recipe of a file with overrides, or of models as "[NAME=]MODEL[:WEIGHT]" and options named as its keys.

    RecipeError where both are given: which of them should hold would be a guess.
    """
    if path is None:
        if overrides:
            raise RecipeError("--set changes a recipe file, and none is given", remedy="use the options themselves")
        return make_recipe({**options, "models": [parse_model(m) for m in models]}, merge_recipe())
    if models or options:
        given = ", ".join(sorted([*options, *(["model"] if models else [])]))
        raise RecipeError(
            f"{path}: a recipe file and the options {given} are both given",
            remedy="change the recipe's values with --set KEY=VALUE",
        )
    return load_recipe(path, merge_recipe(), overrides)
