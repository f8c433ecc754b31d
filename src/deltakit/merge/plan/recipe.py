"""The merge recipe. Beside the fixed keys, the keywords of all registered methods are keys of it, typed as there."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeAlias

import pydantic
from pydantic import Field

from deltakit.errors import RecipeError
from deltakit.merge import DIALECTS, METHODS, POSTS
from deltakit.merge.compute.calibration import Calibration
from deltakit.merge.method import Method
from deltakit.recipe import Section
from deltakit.recipe.parameters import make_checked, parse_checked
from deltakit.registry import check_keys
from deltakit.sparsify.flow import Transform

__all__ = ["MergeRecipe", "ModelItem", "merge_recipe", "methods_of", "parameters_of"]


class ModelItem(Section):
    """One model of a merge; a parameter of the method given here holds for this model alone."""

    model: str = Field(min_length=1, description="Checkpoint, delta file or adapter.")
    name: str = Field("", description="Keys this model's random masks, and names it in `vocabulary`.")
    weight: float = Field(1.0, description="Its weight.")
    text: str | None = Field(None, min_length=1, description="Its own calibration text (RegMean).")


class MergeRecipe(Section):
    """A merge: a method over models, and what the result shall be."""

    method: str = Field("task_arithmetic", description="One of `deltakit ls methods`.")
    base: str | None = Field(None, min_length=1, description="The parent that the deltas are taken from.")
    models: tuple[ModelItem, ...]
    lambda_: float = Field(1.0, alias="lambda", description="Factor of the merged delta.")
    seed: int = Field(42, description="Keys random masks, with the models' names.")
    vocabulary: str | None = Field(
        None, description="Rows the base lacks: `base` drops them, a model's name keeps its."
    )
    dtype: str | None = Field(None, description="Of the result; default: the models' own.")
    lora: Literal["exact"] | Annotated[int, Field(gt=0)] | None = Field(
        None, description="Write a PEFT adapter: `exact` adds the ranks of products up, a number cuts to that rank."
    )
    post: str | None = Field(None, min_length=1, description='On the merged delta, e.g. "aim(omega=0.4)".')
    calibration: Calibration | None = Field(None, description="The text that data-aware methods look at.")
    heads: str | None = Field(
        None, description="Merge only the body, and keep the heads of `base`, of a model by its name, or `drop` all."
    )
    dialect: Literal["paper", "mergekit"] = Field("paper", description="Whose arithmetic the method is computed in.")
    tokenizer: Mapping[str, Any] | None = Field(
        None, description="The result's vocabulary: source (union, base, a model), tokens, pad_to_multiple_of."
    )
    chat_template: str | None = Field(None, min_length=1, description="auto, a template's or a model's name, or Jinja.")
    allow_unrelated: bool = Field(False, description="Merge models that were trained apart.")
    allow_config_drift: bool = Field(False, description="Merge models that are run with different settings.")
    allow_nonfinite: bool = Field(False, description="Read and write NaN and infinite weights.")
    strict: bool = Field(False, description="A model far from its base is an error, not a warning.")


Parameters: TypeAlias = Mapping[str, Any]


@functools.cache
def merge_recipe() -> type[MergeRecipe]:
    """The recipe model with the keywords of all methods in all dialects, unset by default."""
    found: dict[str, Any] = {}
    factories = [registry.factory(method) for registry in DIALECTS.values() for method in registry.names()]
    for factory in factories:
        for name, parameter in inspect.signature(factory, eval_str=True).parameters.items():
            known = found.get(name)
            found[name] = parameter.annotation if known is None else known | parameter.annotation
    fields: dict[str, Any] = {n: (found[n] | None, None) for n in sorted(found)}
    item = pydantic.create_model("ModelItem", __base__=ModelItem, **fields)
    models: Any = (tuple[item, ...], ...)  # type: ignore[valid-type]
    return pydantic.create_model("MergeRecipe", __base__=MergeRecipe, models=models, **fields)


def parameters_of(section: ModelItem | MergeRecipe) -> Parameters:
    """The parameters of the method that a section sets."""
    fixed = MergeRecipe.model_fields if isinstance(section, MergeRecipe) else ModelItem.model_fields
    return {n: v for n, v in section if n not in fixed and v is not None}


def method_of(recipe: MergeRecipe, item: ModelItem) -> Method:
    """The method as it works on one model: its own parameters over the recipe's. RecipeError for what does not fit."""
    given = parameters_of(recipe)
    check_keys(given, list(METHODS.parameters(recipe.method)), f"method {recipe.method!r}")
    where = f"model {item.name or item.model!r}: method {recipe.method!r}"
    check_keys(parameters_of(item), list(METHODS.parameters(recipe.method)), where)
    made: Method = make_checked(METHODS, recipe.method, {**given, **parameters_of(item)})
    return replace(made, post=(*made.post, *parse_posts(recipe.post))) if recipe.post else made


def parse_posts(text: str) -> tuple[Transform, ...]:
    """The steps of "name(key=value) | name(key=value)" on the merged delta, from left to right."""
    return tuple(parse_checked(POSTS, part) for part in text.split("|"))


def methods_of(recipe: MergeRecipe) -> tuple[Method, ...]:
    """The method as it works on each model. RecipeError for a parameter that one model alone cannot have."""
    made = tuple(method_of(recipe, item) for item in recipe.models)
    for item, method in zip(recipe.models, made, strict=True):
        if (method.reduce, method.post) != (made[0].reduce, made[0].post):
            raise RecipeError(
                f"model {item.name or item.model!r}: {', '.join(parameters_of(item))} cannot differ between models",
                remedy="give it once, beside method:",
            )
    return made
