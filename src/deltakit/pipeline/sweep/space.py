"""The space of a sweep: fields of a merge recipe by their paths, and the values each may take."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, TypeAlias

from deltakit.errors import RecipeError
from deltakit.merge import DIALECTS, METHODS
from deltakit.merge.plan.recipe import MergeRecipe, ModelItem, merge_recipe
from deltakit.pipeline.sweep.axis import Axis, Scalar, read_axis
from deltakit.recipe import make_recipe
from deltakit.registry import did_you_mean

__all__ = ["MOST", "Place", "Settings", "Space", "locate", "make_space"]

Settings: TypeAlias = Mapping[str, Scalar]
Place: TypeAlias = tuple[str | int, ...]
MOST = 10_000  # candidates of one grid


@dataclass(frozen=True)
class Space:
    """`document`: the merge as plain data; `axes`: what is searched, in the recipe's order; `places`: where in it."""

    document: Mapping[str, Any]
    axes: tuple[Axis, ...]
    places: tuple[Place, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The searched fields as they are written."""
        return tuple(axis.field for axis in self.axes)

    def grid(self) -> Iterator[dict[str, Scalar]]:
        """Every combination, the last field running fastest. RecipeError where a field is drawn between bounds, or for
        more combinations than anyone means."""
        if drawn := [axis.field for axis in self.axes if not axis.values]:
            raise RecipeError(
                f"search: {', '.join(drawn)}: low and high are for a sampler that draws",
                remedy="give values or {from, to, step}, or sampler: optuna(trials=30)",
            )
        if (n := math.prod(len(axis.values) for axis in self.axes)) > MOST:
            raise RecipeError(
                f"search: {n:,} combinations", remedy="search fewer values, or sampler: optuna(trials=30)"
            )
        for values in itertools.product(*(axis.values for axis in self.axes)):
            yield dict(zip(self.fields, values, strict=True))

    def with_settings(self, settings: Settings) -> dict[str, Any]:
        """The merge as plain data with these values in their places."""
        made = copy.deepcopy(dict(self.document))
        for axis, place in zip(self.axes, self.places, strict=True):
            if axis.field in settings:
                _put(made, place, settings[axis.field])
        return made

    def recipe(self, settings: Settings) -> MergeRecipe:
        """The same as a checked recipe. RecipeError names the settings."""
        said = ", ".join(f"{field}={value!r}" for field, value in settings.items()) or "the merge as it stands"
        return make_recipe(self.with_settings(settings), merge_recipe(), source=said)

    def standing(self) -> dict[str, Scalar]:
        """The searched fields' values in the merge as it stands; a default where it says nothing."""
        recipe = self.recipe({})
        return {axis.field: _get(recipe, place) for axis, place in zip(self.axes, self.places, strict=True)}


def make_space(document: Mapping[str, Any], search: Mapping[str, Any]) -> Space:
    """The space of a merge and what `search:` says. RecipeError with every problem at once."""
    problems: list[str] = []
    axes, places = [], []
    for field, values in search.items():
        try:
            place, axis = _located(document, search, field), read_axis(field, values)
            places.append(place)
            axes.append(axis)
        except RecipeError as wrong:
            problems.append(f"search: {wrong.message}; {wrong.remedy}")
    for place in dict.fromkeys(p for p in places if places.count(p) > 1):
        named = [axis.field for axis, where in zip(axes, places, strict=True) if where == place]
        problems.append(f"search: {' and '.join(named)} are the same field; name it once")
    if len(problems) == 1:
        message, _, remedy = problems[0].partition("; ")
        raise RecipeError(message, remedy=remedy)
    if problems:
        raise RecipeError(f"search: {len(problems)} problems", details=problems, remedy="correct each and run again")
    return Space(document, tuple(axes), tuple(places))


def _located(document: Mapping[str, Any], search: Mapping[str, Any], field: str) -> Place:
    """The place of a field, under the merge's method or, where methods are searched, under any of them."""
    listed = search.get("method")
    methods = [m for m in listed if isinstance(m, str)] if isinstance(listed, list | tuple) else []
    wrong: RecipeError | None = None
    for variant in (document, *({**document, "method": method} for method in methods)):
        try:
            return locate(variant, field)
        except RecipeError as error:
            wrong = wrong or error
    assert wrong is not None
    raise wrong


def locate(document: Mapping[str, Any], field: str) -> Place:
    """Where a field stands: "lambda", "density", "models.math.weight" (a model by its name, its path, the last part of
    its path or its number from 0), "calibration.samples". RecipeError with a suggestion for a field that is none."""
    first, dot, rest = field.partition(".")
    if first == "models" and dot:
        return _of_model(document, field, rest)
    if first not in _fields(document) or first in ("models", "base", "parameters"):
        raise _unknown(document, field)
    return tuple(field.split("."))


def _of_model(document: Mapping[str, Any], field: str, rest: str) -> Place:
    label, dot, key = rest.rpartition(".")
    names = _names(document)
    found = [i for i, each in enumerate(names) if label in each]
    if len(found) > 1:
        raise RecipeError(f"{field!r}: {len(found)} models answer to {label!r}", remedy="give each a name: of its own")
    if not dot or not found or key not in _item_fields(document):
        raise _unknown(document, field)
    return ("models", found[0], key)


def _names(document: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """What each model answers to."""
    return [
        (str(i), *(str(item[k]) for k in ("name", "model") if item.get(k)), PurePath(str(item["model"])).name)
        for i, item in enumerate(document.get("models", ()))
    ]


def _parameters(document: Mapping[str, Any]) -> list[str]:
    """The keywords of the merge's method; of an unknown one none, which planning tells."""
    registry = DIALECTS.get(str(document.get("dialect", "paper")), METHODS)
    method = str(document.get("method", "task_arithmetic"))
    return list(registry.parameters(method)) if method in registry.names() else []


def _fields(document: Mapping[str, Any]) -> list[str]:
    """Fields of the merge itself; those of all methods where the method is none."""
    return [*(info.alias or name for name, info in MergeRecipe.model_fields.items()), *_parameters(document)]


def _item_fields(document: Mapping[str, Any]) -> list[str]:
    return [name for name in (*ModelItem.model_fields, *_parameters(document)) if name not in ("name", "model")]


def _unknown(document: Mapping[str, Any], field: str) -> RecipeError:
    """The error of a field that is none; what stands behind its last dot may be one."""
    plain = [f for f in _fields(document) if f not in ("models", "base")]
    labels = [each[1] if len(each) > 1 else each[0] for each in _names(document)]
    known = [*plain, *(f"models.{label}.{key}" for label in labels for key in _item_fields(document))]
    last = field.rpartition(".")[2]
    remedy = f"did you mean {last!r}?" if last in plain and "." in field and not field.startswith("models.") else ""
    return RecipeError(f"{field!r} is no field of the merge", remedy=remedy or did_you_mean(field, known))


def _put(document: Any, place: Place, value: Scalar) -> None:
    for key in place[:-1]:
        document = document.setdefault(key, {}) if isinstance(document, dict) else document[key]
    document[place[-1]] = value


def _get(recipe: Any, place: Place) -> Any:
    """The value at a place of a checked recipe; `lambda` is `lambda_` there. None within what is not set."""
    found = recipe
    for key in place:
        if isinstance(key, int):
            found = found[key]
        elif isinstance(found, Mapping):
            found = found.get(key)
        else:
            found = getattr(found, "lambda_" if key == "lambda" else key, None)
    return found
