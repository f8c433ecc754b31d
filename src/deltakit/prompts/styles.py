"""Named ways to ask: those for any question, and those that show worked examples of a family of questions.

Chain of thought by examples: Wei et al. 2022 (arXiv:2201.11903); without any: Kojima et al. 2022 (arXiv:2205.11916);
a hint before the solution, in one stage or two: Fu et al. 2024 (HSP, arXiv:2402.14310). The examples are our own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from deltakit.errors import RecipeError
from deltakit.prompts.examples import COMPETITION, GRADE, Example
from deltakit.prompts.programs import CODE_REQUEST, CODE_STOPS, code, complete, pot, tir, tora
from deltakit.prompts.templates import HEADERS, alpaca, bare, join_query, metamath, qa, split_query
from deltakit.registry import did_you_mean

__all__ = ["FAMILIES", "STYLES", "Family", "PromptStyle", "check_style", "prompt_style", "styles_of"]

_COT = re.compile(r"cot(\d{1,2})")


@dataclass(frozen=True)
class PromptStyle:
    """A named way to ask; `stop` are the strings at which an answer is over. `mode` names the way to an answer (of
    `deltakit.generate.modes`) that the style needs; with `chat` the tokenizer's chat template goes around it."""

    name: str
    render: Callable[..., str]
    stop: tuple[str, ...]
    mode: str = "direct"
    chat: bool = False
    summary: str = ""

    @property
    def about(self) -> str:
        """One line of help."""
        return self.summary or (self.render.__doc__ or "").partition("\n")[0]

    def __call__(self, instruction: str, input: str = "") -> str:
        """The prompt of a record that has its input apart."""
        return self.render(instruction, input)

    def question(self, query: str) -> str:
        """The prompt of a question in one string, split as training splits it."""
        return self.render(*split_query(query))


@dataclass(frozen=True)
class Family:
    """Questions of one kind: the examples for few-shot prompts, how their answers are closed, what a chat is told."""

    examples: tuple[Example, ...]
    closing: str
    request: str

    def worked(self, example: Example, hint: bool) -> str:
        """An example as a few-shot prompt shows it."""
        thought = f"Hint: {example.hint}\n" if hint else ""
        closing = self.closing.replace("{answer}", example.answer)
        return f"Q: {example.question}\n{thought}A: {example.solution} {closing}\n\n"


FAMILIES = {
    "grade": Family(
        GRADE,
        "The answer is {answer}.",
        'Think step by step. At the end, write a line that begins with "The answer is:" and gives the number.',
    ),
    "competition": Family(
        COMPETITION,
        r"The answer is $\boxed{{answer}}$.",
        r"Think step by step. At the end, put the answer, and nothing else, into \boxed{}.",
    ),
    "code": Family((), "", CODE_REQUEST),
}
STYLES = {
    style.name: style
    for style in (
        PromptStyle("alpaca", alpaca, HEADERS),
        PromptStyle("bare", bare, ()),
        PromptStyle("metamath", metamath, HEADERS),
        PromptStyle("qa", qa, ("\nQuestion:",)),
    )
}


def _chat(family: Family | None) -> PromptStyle:
    request = f"\n\n{family.request}" if family else ""
    about = "The question under the tokenizer's own chat template" + (
        ", and how to close the answer." if family else "."
    )
    return PromptStyle("chat", lambda *q: join_query(*q) + request, (), chat=True, summary=about)


def _shown(name: str, family: Family, count: int, ending: str, about: str, mode: str = "direct") -> PromptStyle:
    """`count` worked examples, the question, and how the answer begins."""
    shots = "".join(family.worked(example, hint="hsp" in name) for example in family.examples[:count])
    return PromptStyle(name, lambda *q: f"{shots}Q: {join_query(*q)}{ending}", ("\nQ:",), mode, summary=about)


_PROGRAMS = {
    style.name: style
    for style in (
        PromptStyle("pot", pot, HEADERS, mode="pot"),
        PromptStyle("tir", tir, HEADERS, mode="tir"),
        PromptStyle("tora", tora, ("\n<|user|>", "\n<|assistant|>"), mode="tir"),
    )
}


_CODE = {
    style.name: style for style in (PromptStyle("code", code, HEADERS), PromptStyle("complete", complete, CODE_STOPS))
}


def _of_family(name: str, family: Family) -> PromptStyle | None:
    """A style that only a family of questions has; None for a name that is none."""
    if not family.examples:
        return _CODE.get(name)
    if name in _PROGRAMS:
        return _PROGRAMS[name]
    most = len(family.examples)
    if name == "hsp":
        about = f"{most} worked examples, each with a hint before the solution; the model writes hint and solution."
        return _shown(name, family, most, "\nHint:", about)
    if name == "hsp2":
        about = "As hsp, in two stages: the hint is asked for first, then the solution behind it."
        return _shown(name, family, most, "\nHint:", about, mode="hints(then='A:')")
    found = _COT.fullmatch(name)
    if not found or not 0 <= int(found[1]) <= most or name != f"cot{int(found[1])}":
        return None
    if name == "cot0":
        return _shown(name, family, 0, "\nA: Let's think step by step.", "No example: let's think step by step.")
    return _shown(name, family, int(found[1]), "\nA:", f"Chain of thought after {int(found[1])} worked example(s).")


def styles_of(family: str = "") -> list[str]:
    """The names of the styles that questions of a family ("": any question) can be asked in; of "cotN" the most."""
    if not family:
        return sorted([*STYLES, "chat"])
    if not FAMILIES[family].examples:
        return sorted([*STYLES, *_CODE, "chat"])
    return sorted([*STYLES, *_PROGRAMS, "chat", "cot0", f"cot{len(FAMILIES[family].examples)}", "hsp", "hsp2"])


def check_style(name: str) -> None:
    """RecipeError, with a suggestion, for a style that no question can be asked in."""
    if name not in STYLES and name != "chat" and not any(_of_family(name, f) for f in FAMILIES.values()):
        known = sorted({style for family in ("", *FAMILIES) for style in styles_of(family)})
        raise RecipeError(f"unknown prompt style {name!r}", remedy=did_you_mean(name, known))


def prompt_style(name: str, family: str | None = None) -> PromptStyle:
    """The style of that name; a RecipeError with a suggestion for an unknown one.

    With `family` (a name of FAMILIES, or "" for other questions) also "chat", and where there are worked examples cot0,
    cot1, cot2, ..., hsp, hsp2, pot, tir and tora; for code complete and code. Without it only what fits any single
    question, as training and `generate` need it.
    """
    if name in STYLES:
        return STYLES[name]
    if family is None:
        raise RecipeError(f"unknown prompt style {name!r}", remedy=did_you_mean(name, sorted(STYLES)))
    examples = FAMILIES.get(family)
    found = _chat(examples) if name == "chat" else _of_family(name, examples) if examples else None
    if found is None:
        check_style(name)
        raise RecipeError(f"prompt style {name!r} does not fit here", remedy=f"one of {', '.join(styles_of(family))}")
    return found
