"""Program of thought: the model writes a program, what that prints is the answer.

Sources: Chen et al. 2022 (arXiv:2211.12588) and PAL (Gao et al. 2022); the fallback to a chain of thought where a
program gives nothing as in MAmmoTH (Yue et al. 2023, arXiv:2309.05653).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from deltakit.errors import RecipeError
from deltakit.generate.blocks import program_in
from deltakit.generate.play import Ask, Play, Run
from deltakit.prompts.programs import COT_REQUEST, POT_REQUEST

__all__ = ["Pot"]

_SOLUTION = re.compile(r"^def solution\(\s*\)", re.MULTILINE)


@dataclass(frozen=True)
class Pot:
    """Runs the program of the answer for at most `seconds`; the last line that it prints is the answer. A program that
    prints nothing but defines `solution()`, as PAL's do, is run once more with that printed.

    `fallback`: where there is no program, or it fails, or prints nothing, the item is asked again for a chain of
    thought, and that is what is graded. It needs a prompt that asks for a program in the words of style "pot".
    """

    fallback: bool = True
    seconds: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= 3600:
            raise RecipeError(f"pot: seconds is {self.seconds}", remedy="seconds a program may run, e.g. 10")

    def play(self, ask: Ask) -> Play:
        """The program, its output and "The answer is: X"; else the chain of thought."""
        if self.fallback and POT_REQUEST not in ask.prompt:
            raise RecipeError("pot: the prompt does not ask for a program", remedy="take style pot, or fallback=False")
        (found,) = yield [replace(ask, stop=("```output", *ask.stop))]
        program = program_in(found.text)
        printed = ""
        if program is not None:
            (outcome,) = yield [Run(program, self.seconds)]
            if outcome.ok and not outcome.stdout.strip() and _SOLUTION.search(program):
                (outcome,) = yield [Run(f"{program}\nprint(solution())", self.seconds)]
            printed = outcome.stdout.strip() if outcome.ok else ""
        if printed:
            answer = printed.splitlines()[-1].strip()
            return f"{found.text.rstrip()}\n```output\n{printed}\n```\nThe answer is: {answer}"
        if not self.fallback:
            return str(found.text)
        (found,) = yield [replace(ask, prompt=ask.prompt.replace(POT_REQUEST, COT_REQUEST))]
        return str(found.text)
