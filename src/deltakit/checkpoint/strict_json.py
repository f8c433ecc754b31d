"""JSON read strictly: UTF-8, no duplicate keys, bounded nesting, errors that name the file."""

from __future__ import annotations

import json
from typing import Any

from deltakit.errors import CheckpointError

__all__ = ["parse_json"]


def parse_json(raw: bytes | memoryview, where: str) -> Any:
    """The value of UTF-8 JSON bytes. `where` names the file in errors (CheckpointError).

    Python's own parser keeps the last of two equal keys in silence; two readers could then see two
    different files, so duplicates are refused.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise CheckpointError(f"{where}: duplicate keys in one JSON object", details=_repeated(pairs))
        return found

    try:
        return json.loads(bytes(raw).decode("utf-8"), object_pairs_hook=unique)
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{where} is not UTF-8 text (byte {error.start})", remedy=_AGAIN) from None
    except RecursionError:
        raise CheckpointError(f"{where}: JSON nested too deeply", remedy=_AGAIN) from None
    except ValueError as error:  # JSONDecodeError, and integers of thousands of digits
        raise CheckpointError(f"{where} is not JSON: {error}", remedy=_AGAIN) from None


_AGAIN = "fetch or write the file again; it is damaged"


def _repeated(pairs: list[tuple[str, Any]]) -> list[str]:
    counts: dict[str, int] = {}
    for key, _ in pairs:
        counts[key] = counts.get(key, 0) + 1
    return [f"{key!r} appears {n} times" for key, n in counts.items() if n > 1]
