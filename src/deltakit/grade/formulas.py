"""The last formula of a text: where no answer is marked, what a solution ends at is the next best guess."""

from __future__ import annotations

import re

from deltakit.grade.numbers import last_number

__all__ = ["last_formula"]

_FORMULA = re.compile(r"(?<!\\)\$\$?([^$]+?)(?<!\\)\$\$?|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)


def last_formula(text: str) -> str | None:
    """What stands behind the last equals sign of the last $...$, \\(...\\) or \\[...\\]; else the last number."""
    found = _FORMULA.findall(text)
    if not found:
        return last_number(text)
    inner = "".join(found[-1])
    return inner.rpartition("=")[2].strip().rstrip(".,;").strip() or None
