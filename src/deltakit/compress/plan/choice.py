"""Which codec each matrix goes through: one for all, others by pattern, or a chooser that looks at every matrix.

"svd_mixed; *embed_tokens*=group_quant(bits=4)" is a default and a pattern; the last pattern that a name matches holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from deltakit.compress.codec import CODECS, Codec
from deltakit.compress.plan.auto import Auto
from deltakit.compress.plan.exactly import Exactly
from deltakit.compress.plan.texts import split_outside
from deltakit.errors import RecipeError
from deltakit.recipe.parameters import make_checked
from deltakit.registry import Registry, did_you_mean, parse_call

__all__ = ["CHOOSERS", "DEFAULT", "Choice", "Coding", "check_patterns", "join_texts", "parse_choice", "spell"]

CHOOSERS = Registry(
    "chooser", {"auto": "deltakit.compress.plan.auto:Auto", "exact": "deltakit.compress.plan.exactly:Exactly"}
)
DEFAULT = "svd_mixed"
_PATTERN = frozenset("*?[.")  # what no codec's name holds

Coding = Codec | Auto | Exactly


@dataclass(frozen=True)
class Choice:
    """`default` for every matrix that none of `patterns` names."""

    default: Coding
    patterns: tuple[tuple[str, Coding], ...] = field(default=())

    def of(self, name: str) -> Coding:
        """What codes the tensor `name`."""
        found = [coding for pattern, coding in self.patterns if fnmatchcase(name, pattern)]
        return found[-1] if found else self.default

    @property
    def codings(self) -> tuple[Coding, ...]:
        """The default first."""
        return self.default, *(coding for _, coding in self.patterns)

    @property
    def chooses(self) -> bool:
        """Whether any of it looks at the numbers before it decides."""
        return any(isinstance(coding, Auto) for coding in self.codings)

    @property
    def text(self) -> str:
        """The canonical text: parse_choice(choice.text) == choice."""
        return join_texts([spell(self.default), *(f"{pattern}={spell(coding)}" for pattern, coding in self.patterns)])


def spell(coding: Coding) -> str:
    """The canonical text of a codec or chooser."""
    return CODECS.spell(coding, coding.name)


def join_texts(texts: Sequence[str]) -> str:
    """Several `--codec` as one text."""
    return "; ".join(texts)


def parse_choice(text: str) -> Choice:
    """A choice from codecs and PATTERN=codec with semicolons between. RecipeError for anything that cannot be read."""
    default: Coding | None = None
    patterns: list[tuple[str, Coding]] = []
    for part in split_outside(text, ";"):
        pattern, codec = _pattern(part)
        if pattern is not None:
            patterns.append((pattern, _coding(codec)))
        elif default is not None:
            raise RecipeError(
                f"two codecs for all matrices: {spell(default)} and {codec}",
                remedy='say which matrices one of them is for: "*embed_tokens*=group_quant(bits=4)"',
            )
        else:
            default = _coding(codec)
    return Choice(default or _coding(DEFAULT), tuple(patterns))


def check_patterns(choice: Choice, names: Sequence[str], known: Sequence[str]) -> None:
    """Every pattern must name a matrix that is coded (`names`); `known` are all tensors."""
    for pattern, _ in choice.patterns:
        if any(fnmatchcase(name, pattern) for name in names):
            continue
        if any(fnmatchcase(name, pattern) for name in known):
            raise RecipeError(
                f"--codec {pattern!r} names only tensors that no codec codes",
                remedy="norms, biases and tensors that equal the base's are stored exactly; leave the pattern out",
            )
        raise RecipeError(f"--codec {pattern!r} matches no tensor", remedy=_suggest(pattern, names))


def _suggest(pattern: str, names: Sequence[str]) -> str:
    """A pattern over the piece of a name that looks most like this one."""
    pieces = sorted({piece for name in names for piece in name.split(".") if not piece.isdigit()} - {"weight"})
    wanted = max(pattern.replace("?", "*").split("*"), key=len).strip(".")
    found = did_you_mean(wanted, pieces)
    if not found.startswith("did you mean"):
        return 'see the names with --dry-run; "*" stands for any letters'
    return f"did you mean '*{found.split(chr(39))[1]}*'?"


def _coding(text: str) -> Coding:
    name, given = parse_call(text)
    registry = CHOOSERS if name in CHOOSERS.names() else CODECS
    if name not in registry.names():
        known = sorted([*CODECS.names(), *CHOOSERS.names()])
        raise RecipeError(f"unknown codec {name!r}", remedy=did_you_mean(name, known))
    made: Any = make_checked(registry, name, given)
    coding: Coding = made
    return coding


def _pattern(part: str) -> tuple[str | None, str]:
    """(pattern, codec) of "PATTERN=codec", (None, codec) of a codec alone."""
    head, equals, tail = part.partition("=")
    if equals and "(" not in head:
        return head.strip(), tail.strip()
    if not equals and _PATTERN & set(part.partition("(")[0]):
        raise RecipeError(f"--codec {part!r} says no codec", remedy=f'write "{part}=svd_mixed", in quotes')
    return None, part
