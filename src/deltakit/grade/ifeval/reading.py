"""How a response is read: words, sentences, paragraphs, its language."""

from __future__ import annotations

import re
from dataclasses import dataclass

from deltakit.errors import RecipeError

__all__ = ["Finding", "capital_words", "compared", "language_of", "sentences", "words"]

_WORD = re.compile(r"\w+")
_TOKEN = re.compile(r"[^\W_](?:[\w.&-]*[^\W_])?")
_END = re.compile(r"[.!?…]+[\"'”’»)\]*_]*(?=\s|\Z)|[。！？।۔؟]+")
_SHORT = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|sr|jr|vs|no|fig|inc|ltd|co|mt|gen|col|sen|rep|rev|hon|approx|dept|est|ave|blvd)"
    r"|\b(?:e\.g|i\.e|a\.k\.a|p\.p?\.?s|u\.s(?:\.a)?|a\.m|p\.m|ph\.d)|(?:^|\s)[A-Za-z]|(?:^|\n)\s*\d{1,2})\Z",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Finding:
    """Is an instruction followed, and what that rests on."""

    followed: bool
    why: str


def compared(found: int, relation: str, wanted: int, what: str) -> Finding:
    """A count against "at least" or "less than" a number; RecipeError for another relation."""
    if relation not in ("at least", "less than"):
        raise RecipeError(f"IFEval knows no relation {relation!r}", remedy='"at least" or "less than"')
    followed = found >= wanted if relation == "at least" else found < wanted
    return Finding(followed, f"{found} {what}, {relation} {wanted} wanted")


def words(text: str) -> list[str]:
    """Runs of letters, digits and underscores, as the paper counts them."""
    return _WORD.findall(text)


def capital_words(text: str) -> list[str]:
    """Words without a small letter: "NASA", "U.S", and "I", which is one in "I'm" too."""
    return [word for word in _TOKEN.findall(text) if word.isupper()]


def sentences(text: str) -> list[str]:
    """Sentences by their end marks; not after a known abbreviation, an initial or the number of a list, and not before
    a small letter. What stands at the end without a mark is one too."""
    out, start = [], 0
    for end in _END.finditer(text):
        following = text[end.end() :].lstrip()[:1]
        short = end.group() == "." and _SHORT.search(text[start : end.start()])
        if following and (following.islower() or short):
            continue
        out.append(text[start : end.end()].strip())
        start = end.end()
    rest = text[start:].strip()
    return [*out, rest] if _WORD.search(rest) else out


def language_of(text: str) -> str | None:
    """The code of a text's language, the same in every run; None where the detector finds nothing to go by.

    RecipeError where langdetect, the detector that the paper's code uses too, is not installed.
    """
    try:
        from langdetect.detector_factory import DetectorFactory, init_factory
        from langdetect.lang_detect_exception import LangDetectException
    except ImportError:
        raise RecipeError(
            "IFEval's language instructions need langdetect", remedy='pip install "deltakit-llm[eval]", or langdetect'
        ) from None
    from langdetect import detector_factory

    init_factory()
    factory: DetectorFactory = detector_factory._factory
    detector = factory.create()
    detector.seed = 0
    detector.append(text)
    try:
        return str(detector.detect())
    except LangDetectException:
        return None
