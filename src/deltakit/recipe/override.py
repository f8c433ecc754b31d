"""`--set a.b=c`: one value of a recipe replaced from the command line."""

from __future__ import annotations

import re
from typing import Any

from deltakit.errors import RecipeError
from deltakit.recipe.document import Document, Path, parse_document

__all__ = ["apply_override", "parse_override"]

_SEGMENT = re.compile(r'"([^"]+)"|([^."=\s]+)')
_KEYS = re.compile(rf"((?:{_SEGMENT.pattern})(?:\.(?:{_SEGMENT.pattern}))*)=")


def parse_override(text: str) -> tuple[tuple[str, ...], Any]:
    """(("models", "0", "weight"), 0.5) from "models.0.weight=0.5".

    Keys are joined by dots; a key that holds a dot stands in double quotes; the value is read as YAML.
    """
    head = _KEYS.match(text)
    if head is None:
        raise RecipeError(
            f"--set {text!r} is not KEY=VALUE", remedy="write --set a.b=c, e.g. --set models.0.weight=0.5"
        )
    value = parse_document(text[head.end() :])
    if value.problems:
        reason = value.problems[0].partition(": ")[2]
        raise RecipeError(
            f"--set {text!r}: {reason}", remedy="quote the value for YAML, or write a plain number or word"
        )
    return tuple(found[1] or found[2] for found in _SEGMENT.finditer(head[1])), value.data


def apply_override(document: Document, text: str) -> None:
    """Set one value in a document in place; mappings on the way are made, list items must exist."""
    keys, value = parse_override(text)
    node: Any = document.data
    path: Path = ()
    for key in keys[:-1]:
        step = _step(node, key, text)
        if isinstance(node, dict):
            node.setdefault(key, {})
        node, path = node[step], (*path, step)
        document.places.setdefault(path, f"--set {text}")
    last = _step(node, keys[-1], text)
    node[last] = value
    path = (*path, last)
    for stale in [p for p in document.places if p[: len(path)] == path]:
        del document.places[stale]
    document.places[path] = f"--set {text}"


def _step(node: Any, key: str, text: str) -> str | int:
    """The key as it indexes `node`."""
    if isinstance(node, dict):
        return key
    if not isinstance(node, list):
        raise RecipeError(f"--set {text!r}: {key!r} is under a value that is neither mapping nor list")
    if not key.isdecimal() or int(key) >= len(node):
        raise RecipeError(f"--set {text!r}: no item {key!r} in a list of {len(node)}", remedy="items count from 0")
    return int(key)
