"""Which files a command reads and writes, as far as its words say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from deltakit.delta.open import parse_expression
from deltakit.errors import RecipeError

__all__ = ["inputs_of", "outputs_of"]

_WRITES = ("-o", "--output", "--plots", "--write-winner")
_WEIGHT = re.compile(r":[0-9.eE+-]+$")


def outputs_of(argv: Sequence[str]) -> list[Path]:
    """The values of -o, --output, --plots and --write-winner."""
    return [Path(value) for option, value in _options(argv) if option in _WRITES]


def inputs_of(argv: Sequence[str]) -> list[Path]:
    """Every file or folder that stands in the command and exists, outputs apart: words, the part after "=", the names
    of an expression "BASE + 0.6*DELTA", the model of "MODEL:0.5". Sorted, each once."""
    written = {path.resolve() for path in outputs_of(argv)}
    found = {p for word in argv[1:] for p in map(Path, _candidates(word)) if _exists(p)}
    return sorted(p for p in found if p.resolve() not in written)


def _options(argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    for i, word in enumerate(argv):
        option, equals, value = word.partition("=")
        if equals and option.startswith("--"):
            yield option, value
        elif word.startswith("-") and i + 1 < len(argv):
            yield word, argv[i + 1]


def _candidates(word: str) -> Iterator[str]:
    for text in (word, word.partition("=")[2]):
        try:
            base, operands = parse_expression(text) if text else ("", ())
        except (RecipeError, OSError, ValueError):
            base, operands = text, ()
        for name in (base, *(o.name for o in operands)):
            if name:
                yield name
                yield _WEIGHT.sub("", name)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False  # no path: a long prompt, a pattern
