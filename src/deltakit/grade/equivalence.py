"""Is an answer the gold one? The cheap and certain tests first, the costly one only if they fail."""

from __future__ import annotations

from deltakit.grade.answers import Form
from deltakit.grade.numbers import parse_number
from deltakit.grade.strings import same_string

__all__ = ["same_exactly"]


def same_exactly(answer: str, gold: str, form: Form) -> bool:
    """Equal as exact numbers (never rounded); where form is "math" also as normalised strings; "text" as text."""
    if form == "text":
        return answer.strip() == gold.strip()
    number, wanted = parse_number(answer), parse_number(gold)
    if number is not None and wanted is not None:
        return number == wanted
    return form == "math" and same_string(answer, gold)
