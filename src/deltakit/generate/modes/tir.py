r"""Tool-integrated reasoning: text and programs in turns, what a program prints is read by the model as it goes on.

Source: ToRA's loop (Gou et al. 2023, arXiv:2309.17452): generate up to "```output", run the block, append its output,
go on; over when a box appears and no program waits. Here, as in OpenMathInstruct-1 (Toshniwal et al. 2024), later
blocks see what earlier ones defined; ToRA runs the last block alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from deltakit import rng
from deltakit.errors import RecipeError
from deltakit.generate.blocks import fenced
from deltakit.generate.play import Ask, Play, Run
from deltakit.generate.request import Completion

__all__ = ["Tir", "session", "waiting"]

_OUTPUT = "```output"


@dataclass(frozen=True)
class Tir:
    """At most `rounds` programs an item, `seconds` each, the first `longest` characters of an output (half of them from
    its beginning, half from its end). The item's new tokens are those of all rounds together. The text that is graded
    holds programs and outputs."""

    rounds: int = 4
    seconds: float = 10.0
    longest: int = 400

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise RecipeError(f"tir: rounds is {self.rounds}", remedy="at least 1 program")
        if not 0 < self.seconds <= 3600:
            raise RecipeError(f"tir: seconds is {self.seconds}", remedy="seconds a program may run, e.g. 10")
        if self.longest < 2:
            raise RecipeError(f"tir: longest is {self.longest}", remedy="characters of an output, e.g. 400")

    def play(self, ask: Ask) -> Play:
        """The whole trajectory. A program that waits when the rounds or tokens are used up is not run."""
        text, done, left = "", list[str](), ask.max_new_tokens
        for turn in range(self.rounds + 1):
            seed = ask.seed if turn == 0 else rng.key(ask.seed, "tir", str(turn))
            asked = replace(ask, prompt=ask.prompt + text, max_new_tokens=left, stop=(_OUTPUT, *ask.stop), seed=seed)
            (found,) = yield [asked]
            program = waiting(found)
            text, left = text + found.text, left - max(1, len(found.tokens))
            if program is None or turn == self.rounds or left < 1:
                break
            (outcome,) = yield [Run(session(done, program), self.seconds)]
            if outcome.ok:
                done.append(program)
            text = f"{_ended(text)}{_OUTPUT}\n{self._shown(outcome)}\n```\n"
        return text

    def _shown(self, outcome: Any) -> str:
        """What the model reads: what was printed, or why nothing was. As in ToRA, an error hides what came before."""
        said = outcome.stdout.strip() if outcome.ok else outcome.error
        if len(said) <= self.longest:
            return str(said)
        return f"{said[: self.longest // 2]}...{said[-(self.longest // 2) :]}"


def waiting(found: Completion) -> str | None:
    """The program at the end of a turn, None if the turn is over without one: nothing but blanks follows the block, and
    no box stands outside programs. A block whose end is missing counts where a stop string cut the turn."""
    blocks = fenced(found.text)
    if not blocks or not blocks[-1].is_python or found.text[blocks[-1].end :].strip():
        return None
    outside = found.text
    for block in reversed(blocks):
        outside = outside[: block.start] + outside[block.end :]
    if "\\boxed" in outside or not (blocks[-1].closed or found.reason == "stop"):
        return None
    return blocks[-1].text


def session(earlier: Sequence[str], program: str) -> str:
    """A program behind the `earlier` ones of its item, whose output is dropped: each run is a process of its own, so
    what they defined is made again. Those that failed are not among them."""
    if not earlier:
        return program
    before = "\n".join(f"    exec({text!r}, globals())" for text in earlier)
    quiet = "import contextlib as _contextlib, io as _io\nwith _contextlib.redirect_stdout(_io.StringIO()):\n"
    return f"{quiet}{before}\nexec({program!r}, globals())\n"


def _ended(text: str) -> str:
    """A text whose last block is closed, and its last line too."""
    blocks = fenced(text)
    line = text if text.endswith("\n") else text + "\n"
    return line if blocks[-1].closed else line + "```\n"
