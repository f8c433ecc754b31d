"""Prompts of a file."""

from __future__ import annotations

from pathlib import Path

from deltakit.data.jsonl import Bad, bad_rows_error, read_rows
from deltakit.errors import InputError

__all__ = ["read_prompts"]


def read_prompts(path: Path) -> list[str]:
    """Prompts of a file: JSON lines (.jsonl, .json) with a field "prompt", else one a line; blank lines are none."""
    if path.suffix not in (".jsonl", ".json"):
        if not path.is_file():
            raise InputError(f"no file {path}", remedy="name a text file with one prompt a line, or JSON lines")
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    rows = [
        Bad(row.line, 'no field "prompt" with a text')
        if not isinstance(row, Bad) and not isinstance(row.value.get("prompt"), str)
        else row
        for row in read_rows(path)
    ]
    bad = [row for row in rows if isinstance(row, Bad)]
    if bad:
        raise bad_rows_error(path, bad, len(rows), 'every line needs {"prompt": "..."}')
    return [str(row.value["prompt"]) for row in rows if not isinstance(row, Bad)]
