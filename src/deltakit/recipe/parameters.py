"""Values for a registered factory, checked against its annotations: a recipe's text becomes a typed instance."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import pydantic

from deltakit.errors import RecipeError
from deltakit.registry import Registry, parse_call

__all__ = ["make_checked", "parse_checked"]


def make_checked(registry: Registry, name: str, given: Mapping[str, Any]) -> Any:
    """registry.make(name, **given) after a strict check of types: "1" is no number, 1 no boolean."""
    parameters = inspect.signature(registry.factory(name), eval_str=True).parameters
    for key in sorted(given.keys() & parameters.keys()):
        try:
            pydantic.TypeAdapter(parameters[key].annotation).validate_python(given[key], strict=True)
        except pydantic.ValidationError as wrong:
            reason = wrong.errors()[0]["msg"]
            raise RecipeError(f"{registry.kind} {name!r}: {key}: {reason}, found {given[key]!r}") from None
    return registry.make(name, **given)


def parse_checked(registry: Registry, text: str) -> Any:
    """An instance from "name" or "name(key=value)", types checked."""
    name, given = parse_call(text)
    return make_checked(registry, name, given)
