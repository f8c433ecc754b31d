"""Canonical training records, and readers of the schemas they come in.

A record is an instruction, perhaps an input, and the response to learn. MetaMathQA's multi-line queries are split as
MetaMath splits them; GSM8K's own training file becomes records whose responses end as MetaMath's do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltakit.data.jsonl import Bad, Row, bad_rows_error, read_rows
from deltakit.errors import InputError, RecipeError
from deltakit.prompts import split_query
from deltakit.registry import did_you_mean

__all__ = ["KINDS", "Reading", "Record", "read_records", "record_from"]

_MARK = re.compile(r"<<[^<>]*>>")
_HASH = re.compile(r"#### *(\S[^\n]*?)\s*\Z")


@dataclass(frozen=True)
class Record:
    """One example: what is asked, what is to be answered; `type` is the source's own label, `line` where it stood."""

    instruction: str
    input: str
    response: str
    type: str = ""
    line: int = 0


@dataclass(frozen=True)
class Reading:
    """What a file gave: good records in order, and every line that was not one."""

    path: Path
    kind: str
    records: tuple[Record, ...]
    bad: tuple[Bad, ...]


class _Unusable(ValueError):
    """Why a row is no record."""


def _text(value: Mapping[str, Any], field: str, *, empty: bool = False) -> str:
    """A string field; absent, of another type or blank (unless `empty`) is unusable."""
    if field not in value:
        if empty:
            return ""
        raise _Unusable(f"no field {field!r}; found {', '.join(sorted(value)) or 'none'}")
    text = value[field]
    if not isinstance(text, str):
        raise _Unusable(f"field {field!r} is {type(text).__name__}, a string was expected")
    if not (empty or text.strip()):
        raise _Unusable(f"field {field!r} is empty")
    return text


def _metamath(value: Mapping[str, Any], line: int) -> Record:
    instruction, rest = split_query(_text(value, "query"))
    response, type = _text(value, "response"), _text(value, "type", empty=True)
    return Record(instruction, rest, response, type, line)


def _instruction(value: Mapping[str, Any], line: int) -> Record:
    return Record(_text(value, "instruction"), _text(value, "input", empty=True), _text(value, "output"), "", line)


def _gsm8k(value: Mapping[str, Any], line: int) -> Record:
    instruction, rest = split_query(_text(value, "question"))
    return Record(instruction, rest, gsm8k_response(_text(value, "answer")), "", line)


def gsm8k_response(answer: str) -> str:
    """GSM8K's rationale as MetaMath writes its own: calculator marks <<a*b=c>> gone, "The answer is: N" appended."""
    plain = _MARK.sub("", answer).rstrip()
    if "<<" in plain or ">>" in plain:
        raise _Unusable("a calculator mark << >> is not closed")
    found = _HASH.search(plain)
    if found is None:
        raise _Unusable("the answer does not end in a line '#### N'")
    return f"{plain}\nThe answer is: {found.group(1)}"


# kind -> (fields that tell it, reader)
KINDS: dict[str, tuple[tuple[str, ...], Callable[[Mapping[str, Any], int], Record]]] = {
    "gsm8k": (("question", "answer"), _gsm8k),
    "instruction": (("instruction", "output"), _instruction),
    "metamath": (("query", "response"), _metamath),
}


def record_from(value: Mapping[str, Any], kind: str, line: int = 0) -> Record | Bad:
    """One row as a record of that kind, or why it is none."""
    if kind not in KINDS:
        raise RecipeError(f"unknown kind of records {kind!r}", remedy=did_you_mean(kind, sorted(KINDS)))
    try:
        return KINDS[kind][1](value, line)
    except _Unusable as error:
        return Bad(line, str(error))


def _detect(value: Mapping[str, Any], path: Path) -> str:
    fits = [kind for kind, (fields, _) in sorted(KINDS.items()) if all(f in value for f in fields)]
    if len(fits) != 1:
        found = ", ".join(sorted(value))
        raise InputError(
            f"{path}: cannot tell the kind of records from the fields {found}", remedy=f"name it: {', '.join(KINDS)}"
        )
    return fits[0]


def _take(row: Row | Bad, kind: str, path: Path) -> tuple[Record | Bad, str]:
    if isinstance(row, Bad):
        return row, kind
    kind = _detect(row.value, path) if kind == "auto" else kind
    return record_from(row.value, kind, row.line), kind


def read_records(path: str | Path, kind: str = "auto", *, limit: int | None = None, allow_bad: int = 0) -> Reading:
    """Records of `kind` ("metamath", "instruction", "gsm8k"; "auto" goes by the first row) from JSONL or a JSON list.

    Reads up to `limit` good records. More than `allow_bad` bad ones is an InputError that lists them by line; fewer are
    counted and listed in `Reading.bad`. A file without a single good record is an InputError.
    """
    path, good, bad = Path(path), list[Record](), list[Bad]()
    if kind != "auto" and kind not in KINDS:
        raise RecipeError(f"unknown kind of records {kind!r}", remedy=did_you_mean(kind, sorted(KINDS)))
    for row in read_rows(path):
        if limit is not None and len(good) >= limit:
            break
        taken, kind = _take(row, kind, path)
        if isinstance(taken, Bad):
            bad.append(taken)
        else:
            good.append(taken)
    if len(bad) > allow_bad or not good:
        raise bad_rows_error(path, bad, len(good) + len(bad), f"mend or remove them; the kind is {kind!r}")
    return Reading(path, kind, tuple(good), tuple(bad))
