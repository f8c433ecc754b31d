"""Recipe files into typed models, with every problem at once, each with its line and a suggestion."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, TypeVar

import pydantic

from deltakit.errors import InputError, RecipeError
from deltakit.recipe.document import Document, parse_document
from deltakit.recipe.explain import explain
from deltakit.recipe.override import apply_override

__all__ = ["FORMAT", "MAX_BYTES", "load_recipe", "make_recipe", "read_recipe", "read_text", "refuse"]

FORMAT = 1
MAX_BYTES = 1 << 20
_MERGEKIT_KEYS = ("merge_method", "slices", "modules", "base_model")

Model = TypeVar("Model", bound=pydantic.BaseModel)


def load_recipe(path: str | FilePath, model: type[Model], overrides: Sequence[str] = ()) -> Model:
    """An instance of `model` from the YAML file at `path`, with `--set` overrides applied in order.

    Raises InputError for a file that cannot be read and RecipeError for what it says: syntax, duplicate or unknown
    keys, types, and whatever the model's validators refuse, all problems in one error.
    """
    return read_recipe(read_text(FilePath(path)), model, overrides, source=str(path))


def read_recipe(text: str, model: type[Model], overrides: Sequence[str] = (), source: str = "recipe") -> Model:
    """The same from text; `source` names it in errors."""
    document = parse_document(text)
    refuse(document, source)
    if not isinstance(document.data, dict):
        raise RecipeError(f"{source}: not a mapping of keys to values", remedy='start it with "deltakit: 1"')
    _format(document.data, source)
    for override in overrides:
        apply_override(document, override)
    _format(document.data, source)
    return _made(document, model, source)


def make_recipe(data: Mapping[str, Any], model: type[Model], source: str = "command line") -> Model:
    """An instance from plain data, such as a command's options, checked as strictly as a file."""
    return _made(Document(dict(data)), model, source)


def _made(document: Document, model: type[Model], source: str) -> Model:
    data = {k: v for k, v in document.data.items() if k != "deltakit"}
    try:
        # by way of JSON: strict types there ("1" is no number) still let a list become a tuple, a string a path
        return model.model_validate_json(json.dumps(data), strict=True)
    except pydantic.ValidationError as e:
        document.problems.extend(explain(e, model, data, document))
    refuse(document, source)
    raise AssertionError("a validation error without problems")


def read_text(path: FilePath) -> str:
    """The text of a recipe file. InputError for a file that cannot be read, RecipeError for one that is no text."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise RecipeError(
                f"{path}: larger than {MAX_BYTES} bytes", remedy="a recipe is a short text; is this the right file?"
            )
        return raw.decode("utf-8-sig")
    except OSError as e:
        raise InputError(f"{path}: {e.strerror or e}", remedy="name an existing recipe file") from None
    except UnicodeDecodeError as e:
        raise RecipeError(f"{path}: byte {e.start} is not UTF-8", remedy="save the recipe as UTF-8 text") from None


def refuse(document: Document, source: str) -> None:
    """Raise one RecipeError for all problems found so far."""
    problems = document.problems
    if len(problems) == 1:
        message, _, remedy = problems[0].partition("; ")
        raise RecipeError(f"{source}: {message}", remedy=remedy)
    if problems:
        raise RecipeError(f"{source}: {len(problems)} problems", details=problems, remedy="correct each and run again")


def _format(data: dict[str, Any], source: str) -> None:
    """The file must say which format it is in."""
    if "deltakit" not in data:
        if any(key in data for key in _MERGEKIT_KEYS):
            raise RecipeError(f"{source}: a mergekit config, which this version does not import", remedy=_FROM_MERGEKIT)
        raise RecipeError(f'{source}: the line "deltakit: 1" is missing', remedy="put it on top of the recipe")
    if data["deltakit"] != FORMAT or isinstance(data["deltakit"], bool):
        raise RecipeError(
            f"{source}: recipe format {data['deltakit']!r} is unknown", remedy=f"this version reads deltakit: {FORMAT}"
        )


_FROM_MERGEKIT = (
    'write it as a deltakit recipe: "deltakit: 1" on top; merge_method becomes method; base_model becomes base; '
    "under models each item keeps model:, and its parameters (weight, density) stand beside it instead of under "
    "parameters:; lambda and seed stand at the top; mind that method names mean the papers' arithmetic here"
)
