"""One candidate of a sweep: settings, the merge they make, and the MODEL string that names it without writing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deltakit.errors import RecipeError
from deltakit.manifest import digest
from deltakit.merge.plan.linear import linear_expression
from deltakit.merge.plan.recipe import methods_of
from deltakit.pipeline.sweep.axis import Scalar
from deltakit.pipeline.sweep.space import Space

__all__ = ["Candidate", "make_candidate", "recipe_text", "spelled"]


@dataclass(frozen=True)
class Candidate:
    """`key` is equal for candidates that make the same model; `expression` is None where the merge is not linear."""

    id: str
    settings: Mapping[str, Scalar]
    document: Mapping[str, Any]
    expression: str | None
    key: str

    def operand(self, folder: Path) -> str:
        """The MODEL string; a merge that is no expression is a recipe in `folder`."""
        return self.expression or str(folder / self.file)

    @property
    def file(self) -> str:
        """The name of its merge recipe."""
        return f"{self.id}.yaml"


def make_candidate(space: Space, settings: Mapping[str, Scalar], id: str, *, linear: bool = True) -> Candidate:
    """A checked candidate; without `linear` it is never an expression. RecipeError names settings that do not fit."""
    recipe = space.recipe(settings)
    try:
        if recipe.dialect == "paper":
            methods = methods_of(recipe)
            methods[0].reduce.check([item.weight for item in recipe.models])
        text = linear_expression(recipe) if linear else None
    except RecipeError as wrong:
        raise RecipeError(f"{spelled(settings)}: {wrong.message}", remedy=wrong.remedy) from None
    document = space.with_settings(settings)
    key = text or digest(recipe.model_dump(mode="json", by_alias=True))
    return Candidate(id, dict(settings), document, text, key)


def spelled(settings: Mapping[str, Scalar]) -> str:
    """Settings on one line."""
    return ", ".join(f"{field}={_short(value)}" for field, value in settings.items()) or "as the merge stands"


def _short(value: Scalar) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def recipe_text(document: Mapping[str, Any], said: str) -> str:
    """A merge recipe as a file, with a comment on top."""
    body = yaml.safe_dump({"deltakit": 1, **document}, sort_keys=False, allow_unicode=True)
    return f"# {' '.join(said.split())}\n{body}"
