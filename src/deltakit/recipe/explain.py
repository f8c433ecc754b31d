"""pydantic's errors in words: the line, the key, what was found, and what was probably meant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, get_args, get_origin

import pydantic

from deltakit.recipe.document import Document, Path
from deltakit.registry import did_you_mean

__all__ = ["explain"]


def explain(
    error: pydantic.ValidationError, model: type[pydantic.BaseModel], data: Any, document: Document
) -> list[str]:
    """One text for each problem, "line N: ...; remedy", in the order of the file, without repeats."""
    found = [_one(item, model, data, document) for item in error.errors(include_url=False)]
    return sorted(dict.fromkeys(found), key=_line_number)


def _line_number(text: str) -> tuple[int, str]:
    word = text.partition(":")[0].removeprefix("line ")
    return (int(word), "") if word.isdecimal() else (1 << 30, text)


def _one(item: Any, model: type[pydantic.BaseModel], data: Any, document: Document) -> str:
    kind, loc = item["type"], item["loc"]
    path = _path(loc, data)
    spelled = ".".join(str(p) for p in path) or "the recipe"
    if kind == "extra_forbidden":
        known = sorted({name for m in _models_at(model, path[:-1]) for name in _names(m)})
        return f"{document.place(path)}: unknown key {spelled!r}; {did_you_mean(str(path[-1]), known)}"
    if kind == "missing":
        where = f" in {spelled}" if path else ""
        return f"{document.place(path)}: missing key {loc[-1]!r}{where}; {_instead(item, model, path)}"
    message = item["msg"].removeprefix("Value error, ")
    found = item["input"]
    shown = "" if isinstance(found, (dict, list)) or kind == "value_error" else f", found {_short(found)}"
    return f"{document.place(path)}: {spelled}: {message}{shown}"


def _instead(item: Any, model: type[pydantic.BaseModel], path: Path) -> str:
    """What to do about a missing key: spell right the one that stands there in its place, or add it."""
    known = {name for m in _models_at(model, path) for name in _names(m)}
    strange = [str(k) for k in item["input"] if k not in known] if isinstance(item["input"], dict) else []
    near = get_close_matches(str(item["loc"][-1]), strange, 1)
    return f"it is spelt {near[0]!r}" if near else "add it"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _path(loc: tuple[str | int, ...], data: Any) -> Path:
    """The part of a pydantic location that exists in the data (union branches and missing keys fall away)."""
    path: list[str | int] = []
    for step in loc:
        in_list = isinstance(data, list) and isinstance(step, int) and step < len(data)
        if in_list or (isinstance(data, dict) and step in data):
            data = data[step]
            path.append(step)
    return tuple(path)


def _names(model: type[pydantic.BaseModel]) -> Iterator[str]:
    for name, info in model.model_fields.items():
        yield info.alias or name


def _models_at(model: type[pydantic.BaseModel], path: Path) -> list[type[pydantic.BaseModel]]:
    """The models that may stand at a path (several where the annotation is a union)."""
    here: list[Any] = [model]
    for step in path:
        here = [inner for t in here for inner in _inside(t, step)]
    return [m for t in here for m in _members(t)]


def _members(annotation: Any) -> list[type[pydantic.BaseModel]]:
    """The models in an annotation: itself, or those of a union or Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return [annotation]
    return [m for a in get_args(annotation) for m in _members(a)]


def _inside(annotation: Any, step: str | int) -> list[Any]:
    """The annotations one step down: a field of a model, or the models among a list's items or a mapping's values."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return [info.annotation for name, info in annotation.model_fields.items() if step in (name, info.alias)]
    if get_origin(annotation) in (list, tuple, dict):
        return list(_members(annotation))
    return [inner for part in get_args(annotation) for inner in _inside(part, step)]
