"""The recipe of a sweep: a merge, the fields to search, the tasks, the items to choose by and the items to test on."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import pydantic
from pydantic import Field, field_validator, model_validator

from deltakit.errors import RecipeError
from deltakit.merge.plan.recipe import MergeRecipe, merge_recipe
from deltakit.merge.plan.request import is_config
from deltakit.recipe import Section, load_recipe

__all__ = ["ItemsRecipe", "SelectRecipe", "SweepRecipe", "TestRecipe", "load_sweep", "merge_of", "sweep_recipe"]


class ItemsRecipe(Section):
    """Which items are asked."""

    split: str = Field(default="test", min_length=1, description="Of tasks that have splits: train, test, ...")
    limit: int | None = Field(default=None, ge=1, description="Only the first so many items of each task.")
    seed: int = Field(default=0, ge=0, description="Of generated items and drawn answers.")
    data: str | Mapping[str, str] | None = Field(
        default=None, description="Local data: one path, or a path for each task."
    )


class SelectRecipe(ItemsRecipe):
    """The items that candidates are chosen by; they lie apart from those of the test."""

    split: str = Field(default="train", min_length=1, description="Of tasks that have splits.")
    seed: int = Field(default=1, ge=0, description="Of generated items: not 0, by which training records are drawn.")
    same_items: bool = Field(default=False, description="Choose by items of the test all the same; the result says so.")


class TestRecipe(ItemsRecipe):
    """The items that the winner is scored on, once."""

    __test__ = False  # no class of tests, whatever its name

    beside: tuple[str, ...] = Field(default=(), description='Further MODELs to score on them, "NAME=MODEL".')


class SweepRecipe(Section):
    """A sweep over fields of a merge."""

    merge: MergeRecipe | None = Field(None, description="The merge, as in a merge recipe.")
    recipe: str | None = Field(None, min_length=1, description="Instead of merge: the path of a merge recipe.")
    search: Mapping[str, Any] = Field(
        min_length=1, description="Field of the merge -> [values], {from, to, step}, or {low, high, log, integer}."
    )
    sampler: str = Field("grid", min_length=1, description="grid, or optuna(trials=30, seed=0, round=8).")
    tasks: Mapping[str, Annotated[float, Field(gt=0)]] = Field(
        min_length=1, description="Names, or name -> weight; the objective is the weighted mean of accuracies."
    )
    select: SelectRecipe = SelectRecipe()
    test: TestRecipe = TestRecipe()
    settings: Mapping[str, Any] = Field({}, description="Of evaluation: style, max_new_tokens, dtype, device, ...")

    @field_validator("tasks", mode="before")
    @classmethod
    def names_weigh_the_same(cls, found: Any) -> Any:
        if not isinstance(found, list):
            return found
        if twice := sorted(str(name) for name, n in Counter(map(str, found)).items() if n > 1):
            raise ValueError(f"named twice: {', '.join(twice)}")
        return {str(name): 1.0 for name in found}

    @model_validator(mode="after")
    def one_merge(self) -> SweepRecipe:
        if (self.merge is None) == (self.recipe is None):
            raise ValueError("give either merge: (the merge itself) or recipe: (the path of a merge recipe)")
        return self


@functools.cache
def sweep_recipe() -> type[SweepRecipe]:
    """The recipe model whose merge knows the keywords of all methods."""
    merge: Any = (merge_recipe() | None, SweepRecipe.model_fields["merge"])
    return cast("type[SweepRecipe]", pydantic.create_model("SweepRecipe", __base__=SweepRecipe, merge=merge))


def load_sweep(path: str | Path, overrides: Sequence[str] = ()) -> SweepRecipe:
    """A sweep from its file; RecipeError for all that is wrong in it, InputError where it cannot be read."""
    return load_recipe(path, sweep_recipe(), overrides)


def merge_of(recipe: SweepRecipe) -> dict[str, Any]:
    """The merge that is swept, as plain data: only the keys that are written, no `deltakit:` among them."""
    merge = recipe.merge
    if merge is None:
        path = Path(str(recipe.recipe))
        if path.is_file() and is_config(path):
            remedy = "write the merge under merge: with deltakit's keys"
            raise RecipeError(f"{path}: a mergekit config, which a sweep does not take", remedy=remedy)
        merge = load_recipe(path, merge_recipe())
    found: dict[str, Any] = merge.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return found
