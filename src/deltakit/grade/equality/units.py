r"""Units behind a quantity: "12 cm", "12\text{ cm}^2", "$12", "90^\circ", "12\%"; named alike however they are spelled.

A unit that only one of two answers names is dropped, as the MATH benchmark's scorer does; two that are both named must
agree. Nothing is converted: 1 m is not 100 cm here, 40\% is not 0.4.
"""

from __future__ import annotations

import re

from deltakit.grade.equality.latex import LETTERS, words

__all__ = ["agree", "split_unit"]

_SPELLINGS = {
    "centimeter": "cm centimeter centimetre", "meter": "m meter metre", "kilometer": "km kilometer kilometre",
    "millimeter": "mm millimeter millimetre", "inch": "in inch inche", "foot": "ft foot feet", "yard": "yd yard",
    "mile": "mi mile", "gram": "g gm gram", "kilogram": "kg kilogram", "pound": "lb pound", "ounce": "oz ounce",
    "second": "s sec second", "minute": "min minute", "hour": "h hr hour", "day": "day", "week": "week",
    "liter": "l liter litre", "milliliter": "ml milliliter millilitre", "mph": "mph", "dollar": "dollar usd",
    "cent": "cent", "degree": "degree deg", "radian": "radian rad", "percent": "percent", "am": "am", "pm": "pm",
    "year": "year yr", "month": "month",
}  # fmt: skip
_NAMES = {word: name for name, spelled in _SPELLINGS.items() for word in spelled.split()}
_POWERS = {"square": "2", "squared": "2", "sq": "2", "cubic": "3", "cubed": "3"}
_PER = {"per": "/", "an": "", "a": "", "the": "", "of": ""}
_GENERIC = {"unit", ""}  # say nothing about what is counted
_POWER = r"(?:\s*\^\s*\{?([23])\}?)?"
_WORDS = re.compile(r"(?<=[\d})\]!])\s*([a-zA-Z][a-zA-Z. /]*)" + _POWER + r"\s*\Z")
_WRAPPED = re.compile(r"\\(?:text|textnormal|mbox|mathrm|textbf|rm)\s*\{([^{}\d]*[a-zA-Z][^{}]*)\}\s*\Z")
_WRAPPED_POWER = re.compile(
    r"\\(?:text|textnormal|mbox|mathrm|textbf|rm)\s*\{([^{}\d]*[a-zA-Z][^{}]*)\}\s*\^\s*\{?([23])\}?\s*\Z"
)
_MARKS = re.compile(r"(?:\s*\^\s*\\circ|\s*\\?%)\s*\Z")
_ANGLED = re.compile(r"sin|cos|tan|cot|sec|csc")  # of degrees: the mark belongs to the angle
_LETTER = re.compile(r"\A(-?[\d.,]*\d) ([mgslh])(?:\^\{?([23])\}?)?\Z")  # "5 m"; "5m" is a product
_COMMAND_BEFORE = re.compile(r"\\[a-zA-Z]*\Z")
_MONEY = re.compile(r"\A([-+]?)\s*(?:\\\$|\$)\s*")


def _word(raw: str) -> str:
    bare = raw.replace(".", "").lower()
    return _NAMES.get(bare) or _NAMES.get(bare.removesuffix("s")) or bare.removesuffix("s")


def _name(text: str, power: str = "") -> str:
    """The canonical name: sorted words with their powers, generic ones left out."""
    found = []
    for raw in re.findall(r"[a-zA-Z][a-zA-Z.]*", text.replace("/", " per ")):
        lower = raw.lower().rstrip(".")
        if lower in _POWERS:
            power = _POWERS[lower]
        elif lower in _PER:
            found += [_PER[lower]] if _PER[lower] else []
        else:
            found.append(_word(raw))
    kept = [word for word in found if word not in _GENERIC]
    return " ".join(kept) + (f"^{power}" if power and kept else "")


def _plain(found: re.Match[str]) -> bool:
    """Are unwrapped letters a unit, and not variables? Known names of two letters or more, words of four or more."""
    every = LETTERS.findall(found.group(1).replace(".", ""))
    if all(word.lower() in {*_POWERS, *_PER} for word in every):
        return False
    known = [word for word in every if len(word) > 1 and (word.lower() in _NAMES or _word(word) in _SPELLINGS)]
    return all(word in known or len(word) > 3 or word.lower() in {*_POWERS, *_PER} for word in every)


def split_unit(text: str) -> tuple[str, str]:
    r"""A tidied answer as quantity and name of its unit ("" where none is named)."""
    money = _MONEY.match(text)
    if money:
        return money.group(1) + text[money.end() :].strip(), "dollar"
    marked = _MARKS.search(text)
    if marked and marked.start() and not _ANGLED.search(text):
        return text[: marked.start()].strip(), "percent" if "%" in marked.group() else "degree"
    wrapped = _WRAPPED_POWER.search(text) or _WRAPPED.search(text)
    if wrapped and text[: wrapped.start()].strip():
        power = wrapped.group(2) if wrapped.re is _WRAPPED_POWER else ""
        return text[: wrapped.start()].strip(), _name(wrapped.group(1), power)
    letter = _LETTER.match(text)
    if letter:
        return letter.group(1), _name(letter.group(2), letter.group(3) or "")
    found = _WORDS.search(text)
    if found and _plain(found) and not _COMMAND_BEFORE.search(text[: found.end(1)].rstrip()):
        return text[: found.start()].strip(), _name(words(found.group(1)), found.group(2) or "")
    return text, ""


def agree(one: str, other: str) -> bool:
    """May two units belong to equal quantities? Yes where they are the same, or where one is not named."""
    return one == other or not one or not other
