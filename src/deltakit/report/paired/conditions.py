"""What was not the same in the runs compared: task versions, prompts, dtypes, batches, seeds, versions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deltakit.report.paired.item import Run

__all__ = ["differences", "named"]

_LONGEST = 60
_NAMES = 3


def differences(runs: Sequence[Run], labels: Mapping[str, str]) -> list[str]:
    """One line a fact on which runs differ; what only one format records is not compared. `labels` names the tasks."""
    found = [f"{key} differs: {said}" for key, said in _told([(run.name, _flat(run.conditions)) for run in runs])]
    for task, label in labels.items():
        facts = [(run.name, _flat(run.tasks[task].about)) for run in runs if task in run.tasks]
        found += [f"{label}: {key} differs: {said}" for key, said in _told(facts)]
    return found


def named(names: Sequence[str]) -> str:
    """At most three names, and how many more."""
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more


def _told(facts: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[tuple[str, str]]:
    """Per fact that more than one value is known of: "float32 (base, math), bfloat16 (ties)"."""
    for key in dict.fromkeys(key for _, known in facts for key in known):
        groups: dict[str, list[str]] = {}
        for name, known in facts:
            if key in known:
                groups.setdefault(json.dumps(known[key], sort_keys=True, default=str), []).append(name)
        if len(groups) > 1:
            yield key, ", ".join(f"{_short(value)} ({named(names)})" for value, names in groups.items())


def _flat(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Settings inside settings, one level: "generation_kwargs.until"."""
    out: dict[str, Any] = {}
    for key, value in facts.items():
        if isinstance(value, Mapping):
            out |= {f"{key}.{inner}": v for inner, v in value.items()}
        else:
            out[key] = value
    return out


def _short(value: str) -> str:
    text = "default" if value == "null" else value.strip('"')
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
