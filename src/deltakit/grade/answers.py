r"""Where in a completion the answer stands: each extractor is one rule, `marked` tries those that need a mark.

The rules: the last "The answer is: N" (MetaMath; the colon may be missing), the last "#### N" (GSM8K), the last
\boxed{N} (MATH), the last "The value of x is N" (MetaMath's backward questions), a last line "A: N" (OpenAI's GSM8K
models). `output` takes what the last program printed; `last_number` takes the last number at all; `marked` does not,
since in a text that breaks off the last number is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from deltakit.errors import RecipeError
from deltakit.grade.numbers import first_number, last_number
from deltakit.grade.thinking import strip_thinking
from deltakit.registry import did_you_mean

__all__ = ["EXTRACTORS", "Answer", "Form", "boxed", "check_rules", "extract"]

Form = Literal["number", "math", "text"]  # what a task's answers are: numbers, mathematical expressions, plain text

_PHRASE = re.compile(r"\banswer is\b\s*:?[ \t]*", re.IGNORECASE)
_HASH = re.compile(r"####[ \t]*")
_VALUE = re.compile(r"\bvalue of (?:the )?(?:unknown )?(?:variable )?\$?[a-zA-Z]\$? is\b\s*:?[ \t]*", re.IGNORECASE)
_OPEN_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_SENTENCE = re.compile(r"(?<=[\w$)}\]])\.\s+(?=[A-Z][a-z]*\s)")  # where the next sentence begins
LINES = 20  # over how many lines an expression may go
_FINAL_LINE = re.compile(r"^A:[ \t]*([-+$\d.,/%]*\d[\d.,/%]*?)\.?\s*\Z", re.MULTILINE)
_OUTPUT = re.compile(r"```output\n(.*?)```", re.DOTALL)
_OLD_BOX = re.compile(r"\\boxed\s+([^\s${}]+)")


@dataclass(frozen=True)
class Answer:
    """An answer as written, and the rule that found it."""

    text: str
    how: str


def boxed(text: str) -> str | None:
    r"""What the last closed \boxed{...} (or \fbox{...}) holds, braces balanced; else the word after a bare \boxed."""
    for opening in reversed(list(_OPEN_BOX.finditer(text))):
        depth = 1
        for at in range(opening.end(), len(text)):
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            if depth == 0:
                return text[opening.end() : at]
    old = _OLD_BOX.findall(text)
    return old[-1] if old else None


def _line_after(pattern: re.Pattern[str], completion: str, form: Form) -> str | None:
    """The rest of the line after the last match (the next line that is not blank, if the match ends its own).

    An expression whose braces are still open goes on over the next lines.
    """
    ends = [m.end() for m in pattern.finditer(completion)]
    lines = completion[ends[-1] :].strip().splitlines() if ends else []
    if form == "math":
        for count in range(1, min(len(lines), LINES) + 1):
            joined = "\n".join(lines[:count])
            if _closed(joined):
                return joined.strip()
    return lines[0].strip() if lines else None


def _closed(text: str) -> bool:
    """Are braces, environments and $ all closed?"""
    pairs = (("{", "}"), (r"\begin", r"\end"), (r"\(", r"\)"))
    return all(text.count(a) == text.count(b) for a, b in pairs) and not text.replace(r"\$", "").count("$") % 2


def _trimmed(line: str, form: Form) -> str | None:
    r"""The answer in the rest of a line: its first number, or the expression without a full stop, $ and \boxed."""
    if form == "number":
        return first_number(line)
    inner = boxed(line)
    if inner is None:
        inner = _SENTENCE.split(line, maxsplit=1)[0].rstrip(".").strip().strip("$").strip()
    return inner or None


def _after(pattern: re.Pattern[str]) -> Callable[[str, Form], str | None]:
    def rule(completion: str, form: Form) -> str | None:
        line = _line_after(pattern, completion, form)
        return None if line is None else _trimmed(line, form)

    return rule


def _box(completion: str, form: Form) -> str | None:
    inside = boxed(completion)
    if inside is None:
        return None
    return first_number(inside) if form == "number" and "\\" not in inside else inside.strip() or None


def _final_line(completion: str, form: Form) -> str | None:
    """A last line that is "A: 18" and no more, as OpenAI's GSM8K models end."""
    found = _FINAL_LINE.search(completion)
    return found.group(1) if found else None


def _output(completion: str, form: Form) -> str | None:
    """What the last program printed last: the last line of the last ```output block."""
    lines = [block.strip() for block in _OUTPUT.findall(completion) if block.strip()]
    return lines[-1].splitlines()[-1].strip() if lines else None


def _number(completion: str, form: Form) -> str | None:
    return last_number(completion)


def _whole(completion: str, form: Form) -> str | None:
    return completion.strip() or None


EXTRACTORS: dict[str, Callable[[str, Form], str | None]] = {
    "phrase": _after(_PHRASE),
    "hash": _after(_HASH),
    "boxed": _box,
    "value": _after(_VALUE),
    "line": _final_line,
    "output": _output,
    "last_number": _number,
    "text": _whole,
}
_MARKED: dict[Form, tuple[str, ...]] = {
    "number": ("phrase", "hash", "boxed", "line", "value"),
    "math": ("boxed", "phrase", "hash"),
    "text": ("text",),
}


def check_rules(how: str) -> None:
    """RecipeError for an extractor that does not exist; several may be named, "boxed|output"."""
    for rule in how.split("|"):
        if rule != "marked" and rule not in EXTRACTORS:
            raise RecipeError(f"unknown extractor {rule!r}", remedy=did_you_mean(rule, ["marked", *EXTRACTORS]))


def extract(completion: str, how: str = "marked", form: Form = "number") -> Answer | None:
    """The answer of a completion by a rule, by the first of several ("boxed|output"), or ("marked") by the first that
    finds one of the form's marks; None if none does.

    It is looked for outside the completion's thoughts only (`deltakit.grade.thinking`).
    """
    check_rules(how)
    completion = strip_thinking(completion).text
    for rule in (r for name in how.split("|") for r in (_MARKED[form] if name == "marked" else (name,))):
        found = EXTRACTORS[rule](completion, form)
        if found is not None:
            return Answer(found, rule)
    return None
