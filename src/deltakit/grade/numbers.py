"""Numbers as people and models write them, read exactly: no rounding, no floats."""

from __future__ import annotations

import re
from fractions import Fraction

__all__ = ["LONGEST", "first_number", "last_number", "parse_number"]

# A sign counts unless it follows a digit, letter or bracket: in "10-5" it subtracts.
_SIGN = r"(?:(?<![\w)\]])[-+])?"
_UNSIGNED = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
_EXPONENT = r"(?:[eE][-+]?\d{1,3}(?![\w.]))?"
_NUMBER = re.compile(rf"{_SIGN}(?:{_UNSIGNED}){_EXPONENT}(?:/(?:{_UNSIGNED}))?", re.ASCII)
_FRAC = re.compile(r"([-+]?)\\[dt]?frac(?:\{(-?\d+)\}\{(-?\d+)\}|(\d)(\d)|(\d)\{(\d+)\}|\{(\d+)\}(\d))", re.ASCII)
_AROUND = re.compile(r"\\[!,()\[\]$]|\$")  # thin spaces inside numbers, and what opens and closes mathematics
_PERCENT = re.compile(r"\\?%\Z")
LONGEST = 1000  # digits; longer ones are no answer and would cost time


def _fraction(text: str) -> Fraction | None:
    """The value of what `_NUMBER` matched."""
    top, _, bottom = text.replace(",", "").partition("/")
    if len(text) > LONGEST or (bottom and not Fraction(bottom)):
        return None
    return Fraction(top) / (Fraction(bottom) if bottom else 1)


def _latex_fraction(text: str) -> Fraction | None:
    found = _FRAC.fullmatch(text)
    if found is None or len(text) > LONGEST:
        return None
    top, bottom = (int(part) for part in found.groups()[1:] if part is not None)
    sign = -1 if found.group(1) == "-" else 1
    return Fraction(sign * top, bottom) if bottom else None


def parse_number(text: str) -> Fraction | None:
    r"""The exact value of a text that is one number and nothing else, or None.

    "$1,000", "-3.50", "3/4", "\frac{3}{4}", "\frac34", "1e3" and "12\%" (which is 12) are numbers; "12 cm" and
    "3 1/2" are none.
    """
    bare = _PERCENT.sub("", _AROUND.sub("", text.replace("−", "-")).strip())
    if _NUMBER.fullmatch(bare):
        return _fraction(bare)
    return _latex_fraction(bare)


def _found(text: str) -> list[str]:
    return [m.group() for m in _NUMBER.finditer(text.replace("−", "-").replace("-$", "-"))]


def first_number(text: str) -> str | None:
    """The first number in a text, as written."""
    found = _found(text)
    return found[0] if found else None


def last_number(text: str) -> str | None:
    """The last number in a text, as written."""
    found = _found(text)
    return found[-1] if found else None
