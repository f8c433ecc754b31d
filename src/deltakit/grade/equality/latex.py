r"""One spelling of LaTeX: what only sets type is taken out, so that the parsers behind see mathematics alone."""

from __future__ import annotations

import re

__all__ = ["LETTERS", "balanced", "splits", "tidy", "words"]

_REPEATING = re.compile(r"(\d*)\.(\d*)\\overline\s*\{\s*(\d+)\s*\}")
_MARKS = re.compile(r"\\(?:overline|overrightarrow|overleftrightarrow|vec|bm|boldsymbol)(?![a-zA-Z])")
_PHANTOM = re.compile(r"\\[hv]?phantom\s*(?:\{[^{}]*\}|[^\s{}])")  # takes space and is not seen
_REALS = re.compile(r"\\mathbb\s*\{?R\}?|\\(?:R|Reals|reals)(?![a-zA-Z])|\A(?:all|the) real numbers\Z")
_SIZES = re.compile(r"\\(?:left|right|[bB]igg?[lrm]?)(?![a-zA-Z])\.?")
_SPACES = re.compile(r"(?<!\\)\\[,;:!> ]|\\(?:q?quad|thinspace|displaystyle|limits)(?![a-zA-Z])|~|\\\n")
_GROUPED = re.compile(r"(?<=\d)(?:\{,\}|,\s*\\!)\s*(?=\d{3})")  # {,} or ,\! between groups of three digits
_TEXT = re.compile(
    r"\\(?:text|textnormal|mbox|textbf|textit|textrm|mathrm|mathbf|mathit|operatorname|hbox)\s*\{([^{}]*)\}"
)
_SAME = (
    (r"\dfrac", r"\frac"), (r"\tfrac", r"\frac"), (r"\cfrac", r"\frac"), (r"\leqslant", r"\le"), (r"\geqslant", r"\ge"),
    (r"\leq", r"\le"), (r"\geq", r"\ge"), (r"\neq", r"\ne"), (r"\lbrace", r"\{"), (r"\rbrace", r"\}"),
    (r"\langle", "("), (r"\rangle", ")"), (r"\lbrack", "["), (r"\rbrack", "]"), (r"\lvert", "|"), (r"\rvert", "|"),
    (r"\vert", "|"), (r"\mid", "|"), (r"\degree", r"^\circ"), (r"^{\circ}", r"^\circ"), (r"^{ \circ}", r"^\circ"),
    (r"\cdot", "*"), (r"\times", "*"), (r"\div", "/"), (r"\infinity", r"\infty"), (r"\lt", "<"), (r"\gt", ">"),
    (r"\emptyset", r"\{\}"), (r"\varnothing", r"\{\}"),
)  # fmt: skip
_SAME_COMMANDS, _SAME_MARKS = (
    {one: other for one, other in _SAME if one[1:].isalpha() is alpha} for alpha in (True, False)
)
_SIGNS = str.maketrans({
    "−": "-", "–": "-", "×": "*", "·": "*", "÷": "/", "≤": r"\le ", "≥": r"\ge ", "π": r"\pi ", "∞": r"\infty ",
    "∪": r"\cup ", "∈": r"\in ", "±": r"\pm ", "√": r"\sqrt ", "°": r"^\circ ", "≠": r"\ne ", "\n": " ", "\t": " ",
})  # fmt: skip
_COMMANDS = re.compile(r"\\[a-zA-Z]+")
_OPEN, _CLOSE = "([{", ")]}"
LETTERS = re.compile(r"[^\W\d_]+")


def words(text: str) -> str:
    r"""The text with every \text{...} opened: its contents between spaces."""
    for _ in range(4):
        opened = _TEXT.sub(r" \1 ", text)
        if opened == text:
            break
        text = opened
    return text


def _commands(text: str) -> str:
    return _COMMANDS.sub(lambda m: _SAME_COMMANDS.get(m.group(), m.group()), text)


def _repeating(found: re.Match[str]) -> str:
    r"""0.1\overline{6} as the fraction that it is."""
    whole, once, again = found.groups()
    digits = int(whole + once + again or "0") - int(whole + once or "0")
    return rf"\frac{{{digits}}}{{{(10 ** len(again) - 1) * 10 ** len(once)}}}"


def _unwrapped(text: str) -> str:
    """Without what opens and closes mathematics, sentence marks at the end, and markdown's stars around."""
    text = text.strip()
    if text.startswith("**") and text.endswith("**") and len(text) > 4:
        text = text[2:-2]
    for opening, closing in ((r"\(", r"\)"), (r"\[", r"\]")):
        text = text.removeprefix(opening).removesuffix(closing)
    text = re.sub(r"(?<!\\)\$", "", text).strip()
    return text[:-1].rstrip() if text.endswith((".", ",", ";")) and not text.endswith(("a.m.", "p.m.")) else text


def tidy(answer: str) -> str:
    r"""The answer without spacing commands, sizes of brackets and $; \dfrac is \frac, \leq is \le; \text stays."""
    text = _GROUPED.sub("", _unwrapped(answer.translate(_SIGNS)))
    text = _SPACES.sub(" ", _SIZES.sub("", _PHANTOM.sub("", text)))
    for one, other in _SAME_MARKS.items():
        text = text.replace(one, other)
    text = _REALS.sub(r"(-\\infty,\\infty)", text)
    text = _MARKS.sub("", _REPEATING.sub(_repeating, _commands(text)))
    return re.sub(r"\s+", " ", text).strip()


def balanced(text: str) -> bool:
    """Does every bracket that opens close? Kinds are not told apart, since half-open intervals mix them."""
    depth = 0
    for mark in text:
        depth += (mark in _OPEN) - (mark in _CLOSE)
        if depth < 0:
            return False
    return depth == 0


def splits(text: str, marks: re.Pattern[str]) -> list[str]:
    """The parts between matches of `marks` that stand outside all brackets; the matches are left out."""
    parts, depth, start, at = [], 0, 0, 0
    while at < len(text):
        found = marks.match(text, at) if depth == 0 else None
        if found is not None and found.end() > at:
            parts.append(text[start:at])
            start = at = found.end()
            continue
        depth += (text[at] in _OPEN) - (text[at] in _CLOSE)
        at += 1
    return [*parts, text[start:]]
