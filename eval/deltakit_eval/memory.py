"""Where finished measurements are kept while an evaluation runs, so that a killed one goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from deltakit.checkpoint import Staging, checksum
from deltakit.manifest import pretty_json

__all__ = ["Forgetful", "Memory", "Staged"]


class Memory(Protocol):
    """Where finished measurements are kept."""

    def get(self, key: str) -> dict[str, Any] | None: ...

    def put(self, key: str, found: Mapping[str, Any]) -> None: ...


class Forgetful:
    """Keeps nothing: for a call without an output file."""

    def get(self, key: str) -> dict[str, Any] | None:
        """Nothing."""
        return None

    def put(self, key: str, found: Mapping[str, Any]) -> None:
        """Nothing."""


class Staged:
    """Keeps every measurement in a staging folder, durable when `put` returns."""

    def __init__(self, staging: Staging) -> None:
        self._staging = staging

    def get(self, key: str) -> dict[str, Any] | None:
        """What an earlier, killed run measured, or None."""
        record = self._staging.journal.get(key)
        if record is None:
            return None
        found: dict[str, Any] = json.loads((self._staging.folder / record.file).read_bytes())
        return found

    def put(self, key: str, found: Mapping[str, Any]) -> None:
        """One file a measurement."""
        raw = pretty_json(found)
        name = f"{key.partition(':')[2]}.json"
        (self._staging.folder / name).write_bytes(raw)
        self._staging.journal.add(key, name, 0, len(raw), checksum(raw))
