"""How the numbers were measured: items, digests of the questions, settings, versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deltakit.report.page import Cell, Section

__all__ = ["section"]


def section(measured: Sequence[Mapping[str, Any]]) -> Section:
    """One row a fact; facts that are the same in several files appear once."""
    facts: dict[tuple[Cell, ...], None] = {}
    for found in measured:
        for task, about in _pairs(found.get("tasks")):
            words = f"{about.get('n')} items, {about.get('documents')}" if isinstance(about, Mapping) else str(about)
            facts[(f"task {task}", words)] = None
        for name, value in _pairs(found.get("settings")):
            facts[(f"setting {name}", "default" if value is None else str(value))] = None
        for name, value in _pairs(found.get("versions")):
            facts[(f"version of {name}", str(value))] = None
    text = "The same models, items, settings and versions give the same numbers."
    return Section("How it was measured", text, ("what", "value"), tuple(sorted(facts, key=str)))


def _pairs(found: Any) -> list[tuple[str, Any]]:
    return sorted(found.items()) if isinstance(found, Mapping) else []
