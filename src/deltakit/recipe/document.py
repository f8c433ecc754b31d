"""A strict reader of YAML: plain data, the place of every value, and all problems at once.

Scalars follow the core schema of YAML 1.2 (1e-4 is a number; no, on and 1:30 are strings). Anchors, aliases, tags,
merge keys, duplicate keys, several documents and non-finite numbers are problems, not features.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

__all__ = ["Document", "Path", "parse_document", "resolve_scalar"]

Path = tuple[str | int, ...]
MAX_DEPTH = 50

_NULL = ("", "~", "null", "Null", "NULL")
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NONFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class _TooDeep(Exception):
    """Ends the parsing of a document that nests without end."""


@dataclass
class Document:
    """`data` is JSON-able; `places` maps the path of each value to words such as "line 3"; `problems` are texts."""

    data: Any = None
    places: dict[Path, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def place(self, path: Path) -> str:
        """Where a path is, or its nearest known ancestor."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, "line 1" if self.places else "given")


def resolve_scalar(text: str) -> Any:
    """The value of a plain scalar; ValueError for numbers that are not finite or too long to be meant."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        if len(text) > 100:
            raise ValueError(f"a number of {len(text)} digits")
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if _NONFINITE.fullmatch(text):
        raise ValueError(f"{text} is not a finite number")
    if _FLOAT.fullmatch(text):
        value = float(text)
        if not math.isfinite(value):
            raise ValueError(f"{text} is too large for a number")
        return value
    return text


def parse_document(text: str) -> Document:
    """Parse one YAML document. Problems are collected; where the syntax breaks, parsing ends with that problem."""
    out = Document()
    try:
        events = iter(yaml.parse(text, Loader=yaml.SafeLoader))
        first = _first_event(events)
        if first is not None:
            out.data = _node(first, events, (), out)
            _no_second_document(events, out)
    except _TooDeep as e:
        out.problems.append(f"{e}: nested deeper than {MAX_DEPTH} levels")
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else f"line {_bad_line(text, e)}"
        out.problems.append(
            f"{where}: not valid YAML: {getattr(e, 'problem', None) or getattr(e, 'reason', None) or e}"
        )
    return out


def _first_event(events: Iterator[yaml.Event]) -> yaml.Event | None:
    """The first event of the first document's root, or None for an empty file."""
    for event in events:
        if isinstance(event, yaml.StreamEndEvent):
            return None
        if not isinstance(event, (yaml.StreamStartEvent, yaml.DocumentStartEvent)):
            return event
    return None


def _no_second_document(events: Iterator[yaml.Event], out: Document) -> None:
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            out.problems.append(f"{_line(event)}: a second document; a recipe is one document")
            return


def _bad_line(text: str, error: Exception) -> int:
    """The line of a character that YAML does not allow (its reader tells only the position)."""
    return text.count("\n", 0, getattr(error, "position", 0)) + 1


def _line(event: yaml.Event) -> str:
    return f"line {event.start_mark.line + 1}" if event.start_mark else "line 1"


def _node(event: yaml.Event, events: Iterator[yaml.Event], path: Path, out: Document) -> Any:
    out.places[path] = _line(event)
    if isinstance(event, yaml.AliasEvent):
        out.problems.append(f"{_line(event)}: alias *{event.anchor}: aliases are not allowed; write the value out")
        return None
    assert isinstance(event, (yaml.ScalarEvent, yaml.SequenceStartEvent, yaml.MappingStartEvent))
    if event.anchor:
        out.problems.append(f"{_line(event)}: anchor &{event.anchor}: anchors are not allowed; write the value out")
    if event.tag:
        out.problems.append(f"{_line(event)}: tag {event.tag!r}: tags are not allowed")
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event, out)
    if len(path) >= MAX_DEPTH:
        raise _TooDeep(_line(event))
    if isinstance(event, yaml.SequenceStartEvent):
        return _sequence(events, path, out)
    return _mapping(events, path, out)


def _scalar(event: yaml.ScalarEvent, out: Document) -> Any:
    if event.style is not None:  # quoted or block: always a string
        return event.value
    try:
        return resolve_scalar(event.value)
    except ValueError as e:
        out.problems.append(f"{_line(event)}: {e}")
        return None


def _sequence(events: Iterator[yaml.Event], path: Path, out: Document) -> list[Any]:
    found: list[Any] = []
    while not isinstance(event := next(events), yaml.SequenceEndEvent):
        found.append(_node(event, events, (*path, len(found)), out))
    return found


def _mapping(events: Iterator[yaml.Event], path: Path, out: Document) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        if isinstance(event, yaml.ScalarEvent) and not event.anchor and not event.tag:
            key = event.value
        else:
            out.problems.append(f"{_line(event)}: a key must be a plain word")
            key = str(_node(event, events, (*path, "?"), out))
        if key == "<<" and getattr(event, "style", None) is None:
            out.problems.append(f"{_line(event)}: merge key <<: not allowed; write the values out")
        if key in found:
            out.problems.append(f"{_line(event)}: duplicate key {key!r}, first at {out.places[(*path, key)]}")
        value = _node(next(events), events, (*path, key), out)
        out.places[(*path, key)] = _line(event)
        found[key] = value
    return found
