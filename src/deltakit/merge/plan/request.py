"""What a person asked to be merged: a recipe of ours, a mergekit config, or options; each becomes a plan."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deltakit.errors import RecipeError
from deltakit.merge import DIALECTS
from deltakit.merge.mergekit.planning import config_models, plan_config
from deltakit.merge.plan.native import plan_recipe
from deltakit.merge.plan.planned import Planned
from deltakit.merge.plan.quick import read_merge
from deltakit.merge.plan.recipe import merge_recipe
from deltakit.merge.plan.series import series_of
from deltakit.merge.sources.allowances import Allowances
from deltakit.recipe import load_recipe
from deltakit.recipe.load import read_text
from deltakit.registry import did_you_mean

__all__ = ["is_config", "plan_file", "plan_request", "request_models"]

# A recipe of ours says so at its top; a mergekit config has at least one of these keys there.
_OURS = re.compile(r"^[\s{]*[\"']?deltakit[\"']?\s*:", re.MULTILINE)
_THEIRS = re.compile(r"^[\"'{]*\s*[\"']?(merge_method|slices|modules|base_model|models)[\"']?\s*:", re.MULTILINE)

_ALLOWANCES = ("allow_unrelated", "allow_config_drift", "allow_nonfinite", "strict")


def plan_request(
    path: Path | None,
    models: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    dialect: str | None = None,
) -> Planned:
    """The merge of a file, or of models as "[NAME=]MODEL[:WEIGHT]" and options named as a recipe's keys.

    A file without `deltakit:` is a mergekit config, in its tool's dialect unless another is asked for; it takes no
    options but the seed and the allowances. Raises RecipeError for what does not fit together.
    """
    given = dict(options or {})
    if dialect is not None and dialect not in DIALECTS:
        raise RecipeError(f"unknown dialect {dialect!r}", remedy=did_you_mean(dialect, sorted(DIALECTS)))
    if path is not None and is_config(path):
        return _config(path, models, given, overrides, dialect or "mergekit")
    chosen = {} if dialect is None else {"dialect": dialect}
    if path is None:
        return plan_recipe(read_merge(None, models, {**given, **chosen}, overrides))
    flags = [f"{key}=true" for key in _ALLOWANCES if given.pop(key, False)]
    flags += [f"{key}={value}" for key, value in chosen.items()]
    return plan_recipe(read_merge(path, models, given, [*overrides, *flags]))


def _config(
    path: Path, models: Sequence[str], given: dict[str, Any], overrides: Sequence[str], dialect: str
) -> Planned:
    allowed = {key.removeprefix("allow_"): bool(given.pop(key, False)) for key in _ALLOWANCES}
    seed = given.pop("seed", 42)
    if models or given or overrides:
        named = ", ".join(sorted([*given, *(["model"] if models else []), *(["set"] if overrides else [])]))
        raise RecipeError(
            f"{path} is a mergekit config, which takes no options beside it ({named})",
            remedy="change the config itself; --seed, --dialect and the --allow options may be given",
        )
    return plan_config(path, dialect=dialect, seed=seed, allow=Allowances(**allowed))


def is_config(path: Path) -> bool:
    """Whether a file is a mergekit config, judged by its keys."""
    text = read_text(path)
    return not _OURS.search(text) and bool(_THEIRS.search(text))


def plan_file(path: Path) -> Planned:
    """The merge of a file as it stands."""
    return plan_request(path)


def request_models(path: Path) -> tuple[str, ...]:
    """Every MODEL string that a file names, its base first."""
    if is_config(path):
        return config_models(path)
    recipe = load_recipe(path, merge_recipe())
    return (*([recipe.base] if recipe.base else []), *(m for item in recipe.models for m in series_of(item.model)))
