"""Which licence a model says it is under, and what several licences mean for a model made of all of them.

Facts about terms are read from names alone and are no legal advice; what is unknown is said to be unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from deltakit.checkpoint.confine import confined
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.errors import UnsafeError

__all__ = ["conflicts", "licence_of", "result_licence"]

_FRONT = re.compile(r"\A---\s*\n(.*?)\n---\s*(?:\n|\Z)", re.DOTALL)
_MOST = 1 << 20  # bytes of a model card that are looked at
_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}")
# the beginning of a licence file -> the hub's name for it
_BEGINNINGS: Mapping[str, str] = {
    r"apache license\s+version 2\.0": "apache-2.0",
    r"mit license": "mit",
    r"llama 2 community license": "llama2",
    r"llama 3 community license": "llama3",
    r"meta llama 3 community license": "llama3",
    r"llama 3\.1 community license": "llama3.1",
    r"llama 3\.2 community license": "llama3.2",
    r"llama 3\.3 community license": "llama3.3",
    r"gnu general public license\s+version 3": "gpl-3.0",
    r"gnu affero general public license\s+version 3": "agpl-3.0",
    r"gemma terms of use": "gemma",
}
_OPEN = ("apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "unlicense", "isc", "zlib")
_ALIKE = ("gpl-3.0", "agpl-3.0", "cc-by-sa-4.0", "cc-by-nc-sa-4.0")


def licence_of(folder: Path, sidecar: Sidecar) -> str | None:
    """The hub's name of a model's licence ("apache-2.0"), from the head of its card, else from its licence file; None
    where neither says. A card that cannot be read counts as none."""
    named = _from_card(folder) if folder.is_dir() else None
    if named:
        return named
    texts = [raw for name, raw in sidecar.files.items() if name.startswith("LICENSE")]
    for raw in texts:
        head = " ".join(raw[:2000].decode("utf-8", "replace").lower().split())
        for beginning, name in _BEGINNINGS.items():
            if re.search(beginning, head):
                return name
    return "other" if texts else None


def _from_card(folder: Path) -> str | None:
    try:
        path = confined(folder, "README.md")
        with path.open("rb") as file:
            front = _FRONT.match(file.read(_MOST).decode("utf-8", "replace").lstrip("\ufeff"))
        found = yaml.safe_load(front[1]) if front and "&" not in front[1] else None
    except (OSError, ValueError, yaml.YAMLError, RecursionError, UnsafeError):
        return None
    name = found.get("license") if isinstance(found, dict) else None
    return name.lower() if isinstance(name, str) and _NAME.fullmatch(name.lower()) else None


def result_licence(licences: Mapping[str, str | None]) -> str | None:
    """What the card of a model made of all of them may name: their one licence, "other" where they differ, None where
    nobody says."""
    named = {name for name in licences.values() if name}
    if len(named) > 1:
        return "other"
    return next(iter(named), None) if None not in licences.values() else ("other" if named else None)


def conflicts(licences: Mapping[str, str | None]) -> tuple[str, ...]:
    """A line for everything that a person should look at before passing a merged model on; `licences` by label."""
    named = {label: name for label, name in licences.items() if name}
    if len(set(licences.values())) <= 1 and not any(map(_bound, named.values())):
        return ()
    said = ", ".join(f"{label}: {name or 'unknown'}" for label, name in licences.items())
    lines = [f"licences differ ({said})"] if len(set(licences.values())) > 1 else []
    lines += [f"{label} is {name}: no commercial use" for label, name in named.items() if "-nc" in name]
    alike = {name for name in named.values() if name in _ALIKE}
    others = {name for name in named.values() if name not in _OPEN and name not in alike}
    if len(alike) > 1 or (alike and others):
        clash = " and ".join(sorted(others or alike))
        lines.append(f"{' and '.join(sorted(alike))} demands its own terms for the result; {clash} has others")
    lines += [
        f"{label} is {name}: its terms demand that the result's name begins with Llama and that they are passed on"
        for label, name in named.items()
        if re.fullmatch(r"llama3(\.\d)?", name)
    ]
    return tuple(lines)


def _bound(name: str) -> bool:
    return "-nc" in name or bool(re.fullmatch(r"llama3(\.\d)?", name))
