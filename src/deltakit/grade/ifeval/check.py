"""A response against the instructions of its prompt, strictly and loosely, each verdict with its reason."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deltakit.errors import InputError
from deltakit.grade.ifeval.reading import Finding
from deltakit.grade.ifeval.rules import RULES
from deltakit.registry import did_you_mean

__all__ = ["Verdict", "check", "loosened"]


@dataclass(frozen=True)
class Verdict:
    """Is an instruction followed as the response stands, and in one of its loosened forms; `why` of the strict one."""

    instruction: str
    strict: bool
    loose: bool
    why: str


def loosened(response: str) -> list[str]:
    """The eight forms that the paper's loose accuracy tries: with and without the first line, the last line, and the
    stars of markdown."""
    lines = response.split("\n")
    cut = [response, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    return [*cut, *(text.replace("*", "") for text in cut)]


def check(response: str, instructions: Sequence[str], kwargs: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    """One verdict per instruction. An empty response follows none. InputError for what is not IFEval's."""
    if len(instructions) != len(kwargs):
        raise InputError(
            f"{len(instructions)} instructions with {len(kwargs)} sets of arguments", remedy="one for each"
        )
    return [_verdict(response, name, given) for name, given in zip(instructions, kwargs, strict=True)]


def _verdict(response: str, name: str, given: Mapping[str, Any]) -> Verdict:
    strict = _find(response, name, given)
    loose = strict.followed or any(_find(text, name, given).followed for text in loosened(response)[1:])
    return Verdict(name, strict.followed, loose, strict.why)


def _find(response: str, name: str, given: Mapping[str, Any]) -> Finding:
    if name not in RULES:
        raise InputError(f"unknown instruction {name!r}", remedy=did_you_mean(name, sorted(RULES)))
    known = {key: value for key, value in given.items() if value is not None}  # the hub's table has a column for each
    wanted = list(inspect.signature(RULES[name]).parameters)[1:]
    if sorted(known) != sorted(wanted):
        raise InputError(f"{name} takes {wanted or 'nothing'}, given {sorted(known)}", remedy="check the data file")
    return RULES[name](response, **known) if response.strip() else Finding(False, "an empty response")
