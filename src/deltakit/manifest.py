"""The manifest: what went in and what came out, by digest. No times and no local paths are ever in it."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from deltakit.errors import CheckpointError

__all__ = [
    "MANIFEST_NAME",
    "SCHEMA_VERSION",
    "canonical_json",
    "describe_input",
    "digest",
    "make_manifest",
    "portable",
    "pretty_json",
    "read_manifest",
    "versions",
]

MANIFEST_NAME = "deltakit.json"
SCHEMA_VERSION = 1
_LIBRARIES = ("deltakit-llm", "numpy", "safetensors", "scipy", "torch", "transformers", "zstandard")
# an absolute path of at least two parts that begins a word: /home/me/model, ~/model, C:\models\m
_PART = r"[^\s/\\\"'(),;]+"
_PATH = re.compile(rf"(?<![\w./\\~:-])(?:~|[A-Za-z]:|)[/\\](?:{_PART}[/\\])+({_PART})[/\\]?")


def make_manifest(
    action: str,
    *,
    inputs: Sequence[Mapping[str, Any]] = (),
    recipe: Mapping[str, Any] | None = None,
    seed: int | None = None,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """A manifest of one action ("merge", "extract", ...): inputs by fingerprint, recipe, seed, versions.

    Local paths in the recipe and the notes are cut to their last part, so that the same work done
    elsewhere gives the same bytes.
    """
    made: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "action": action,
        "inputs": [dict(entry) for entry in inputs],
        "versions": versions(),
    }
    if recipe is not None:
        made["recipe"] = portable(recipe)
    if seed is not None:
        made["seed"] = seed
    if notes:
        made["notes"] = portable(list(notes), tuple(_places(recipe)))
    return made


def describe_input(source: str, fingerprint: str, **more: Any) -> dict[str, Any]:
    """One entry of `inputs`: a hub id stays whole, a local path becomes its last part."""
    path = Path(source)
    local = path.is_absolute() or path.exists() or source.startswith((".", "~"))
    return {"name": _text(path.resolve().name) if local else source, "fingerprint": fingerprint, **portable(more)}


def versions() -> dict[str, str]:
    """Versions of the libraries that can change bytes; those not installed are left out. Imports none of them."""
    return {name: found for name in _LIBRARIES if (found := _version(name))}


@functools.cache  # reading the metadata of all takes longer than merging a small model
def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def portable(value: Any, places: Sequence[str] = ()) -> Any:
    """A JSON-able copy in which absolute local paths are cut to their last part; so are these `places`, which within a
    sentence could not be told from words where they hold spaces."""
    if isinstance(value, Mapping):
        return {str(key): portable(value[key], places) for key in value}
    if isinstance(value, list | tuple):
        return [portable(item, places) for item in value]
    if isinstance(value, Path):
        return _text(value.name if value.is_absolute() else str(value))
    if isinstance(value, str):
        for place in sorted({*places, *_places(value)}, key=len, reverse=True):
            value = value.replace(place, Path(place).name)
        return _PATH.sub(r"\1", _text(value))
    return value


def _places(value: Any) -> Iterator[str]:
    """The absolute local paths that stand in a recipe: whole strings, or the operands of an expression."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _places(item)
    elif isinstance(value, str | Path):
        parts = (str(value), *re.split(r"[+*]| - ", str(value)))
        yield from (p for part in parts if (p := part.strip()) and Path(p).is_absolute() and Path(p).exists())


def _text(name: str) -> str:
    """File names may hold bytes that are no UTF-8; JSON may not."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def canonical_json(value: Any) -> bytes:
    """Compact UTF-8 JSON with sorted keys: the bytes that digests are taken of. NaN is a ValueError."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def pretty_json(value: Any) -> bytes:
    """Indented UTF-8 JSON with sorted keys and a final newline: the bytes of a file that people read."""
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def digest(value: Any) -> str:
    """ "sha256:<hex>" of bytes, or of the canonical JSON of anything else."""
    raw = value if isinstance(value, bytes | bytearray | memoryview) else canonical_json(value)
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of an output folder, or None where there is none. CheckpointError if it cannot be read."""
    path = folder / MANIFEST_NAME
    if not path.is_file():
        return None
    try:
        parsed = json.loads(path.read_bytes())
    except ValueError as error:
        raise CheckpointError(f"{path} is not JSON: {error}", remedy="make the output again") from None
    found = parsed.get("schema_version") if isinstance(parsed, dict) else None
    if found != SCHEMA_VERSION:
        problem = f"{path}: schema_version {found!r}, this deltakit reads {SCHEMA_VERSION}"
        raise CheckpointError(problem, remedy="use the deltakit that wrote it, or a newer one")
    return dict(parsed)
