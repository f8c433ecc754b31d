r"""Equality of LaTeX answers as strings, after the clean-up that the MATH benchmark's own scorer does.

What it makes equal and what not is that scorer's (Hendrycks et al. 2021), restated here: 0.5 = 1/2 = \frac{1}{2},
x=3 is 3, 10\% is 10, 12\text{ cm} is 12; but 0.25 is not \frac14, 1,000 is not 1000, 3.0 is not 3. No algebra.
"""

from __future__ import annotations

import re

__all__ = ["normalise", "same_string"]

_NOISE = ("\n", r"\!", r"\left", r"\right", r"^{\circ}", r"^\circ", r"\$", r"\%")
_BARE_SQRT = re.compile(r"\\sqrt(?!\{)(.)")
_ASSIGNED = re.compile(r"\A[^=]{0,2}=([^=]*)\Z")
_POINT = re.compile(r"(?<=[ {])\.|\A\.")
_RATIO = re.compile(r"\A(-?\d+)/(-?\d+)\Z")


def _without_units(text: str) -> str:
    r"""MATH writes units as "\text{ cm}" at the end; more than one such group is left alone."""
    parts = text.split(r"\text{ ")
    return parts[0] if len(parts) == 2 else text


def _braced_fractions(text: str) -> str:
    r"""\frac12, \frac1{72} and \frac{1}2 -> \frac{..}{..}; left alone where an argument is missing."""
    head, *rest = text.split(r"\frac")
    made = head
    for part in rest:
        if not part.startswith("{"):
            if len(part) < 2:
                return text
            numerator, denominator = part[0], part[1:]
            if not denominator.startswith("{"):
                denominator = "{" + denominator[0] + "}" + denominator[1:]
            part = "{" + numerator + "}" + denominator
        made += r"\frac" + part
    return made


def normalise(answer: str) -> str:
    """The canonical spelling of an answer; equal strings are equal answers."""
    text = answer.replace("\\\\", "\\").replace("tfrac", "frac").replace("dfrac", "frac")
    for noise in _NOISE:
        text = text.replace(noise, "")
    text = _POINT.sub("0.", _without_units(text))
    assigned = _ASSIGNED.match(text)
    text = assigned.group(1) if assigned else text
    text = _BARE_SQRT.sub(r"\\sqrt{\1}", text).replace(" ", "")
    text = _braced_fractions(text)
    if text == "0.5":
        return r"\frac{1}{2}"
    return _RATIO.sub(r"\\frac{\1}{\2}", text)


def same_string(answer: str, gold: str) -> bool:
    """Equal after `normalise`."""
    return normalise(answer) == normalise(gold)
