"""A pipeline recipe with its variables filled in: the very words of every command, known before the first one runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from deltakit.errors import RecipeError
from deltakit.pipeline.recipe import ClaimRecipe, PipelineRecipe, StepRecipe
from deltakit.recipe import load_recipe
from deltakit.registry import did_you_mean

__all__ = ["Plan", "Step", "load_plan", "make_plan", "shell_line"]

_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_SHELL = ("|", "||", "&", "&&", ";", ">", ">>", "<", "2>", "2>&1")
_WIDTH = 110


@dataclass(frozen=True)
class Step:
    """One command: `argv` without the program's name."""

    name: str
    argv: tuple[str, ...]
    save: Path | None = None
    inputs: tuple[Path, ...] = ()
    expect: int = 0

    def with_words(self, *words: str) -> Step:
        """The same command with more words at its end."""
        return replace(self, argv=(*self.argv, *words))


@dataclass(frozen=True)
class Plan:
    """A pipeline ready to run; its state and outputs live in `folder`. `variables` as they were filled in."""

    title: str
    folder: Path
    steps: tuple[Step, ...]
    results: Path | None = None
    claims: tuple[ClaimRecipe, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


def load_plan(path: str | Path, out: Path | None, recipes: Path, overrides: Sequence[str] = ()) -> Plan:
    """The plan of a recipe file; `recipes` is the folder of shipped recipes, for {recipes}."""
    return make_plan(load_recipe(path, PipelineRecipe, overrides), out, recipes, source=str(path))


def make_plan(recipe: PipelineRecipe, out: Path | None, recipes: Path, source: str = "recipe") -> Plan:
    """Fill the variables in. RecipeError with every problem at once: unknown variables, quotes, shell syntax."""
    folder = out or (Path(recipe.output) if recipe.output else None)
    if folder is None:
        raise RecipeError("nowhere to write", remedy="give -o FOLDER, or `output:` in the recipe")
    problems: list[str] = []
    words = _variables(recipe, {"out": str(folder), "recipes": _relative(recipes)}, problems)
    steps = tuple(_step(step, words, problems) for step in recipe.steps)
    results = _filled(recipe.results, words, problems, "results") if recipe.results else None
    if problems:
        raise RecipeError(f"{source}: {len(problems)} problems", details=problems, remedy="correct each and run again")
    return Plan(recipe.pipeline, folder, steps, Path(results) if results else None, recipe.claims, words)


def shell_line(step: Step, program: str = "deltakit") -> str:
    """The command as it can be pasted into a shell, broken into lines where it is long."""
    tail = f" > {shlex.quote(str(step.save))}" if step.save else ""
    lines, line = [], program
    for word in _pieces(step.argv):
        if len(line) + len(word) + len(tail) + 3 > _WIDTH and line.strip() != program:
            lines.append(line + " \\")
            line = "    " + word
        else:
            line = f"{line} {word}"
    return "\n".join([*lines, line + tail])


def _pieces(argv: Sequence[str]) -> list[str]:
    """Quoted words, an option together with its value."""
    found: list[str] = []
    for i, word in enumerate(argv):
        if i and argv[i - 1].startswith("-") and "=" not in argv[i - 1] and not word.startswith("-"):
            found[-1] += f" {shlex.quote(word)}"
        else:
            found.append(shlex.quote(word))
    return found


def _variables(recipe: PipelineRecipe, known: Mapping[str, str], problems: list[str]) -> dict[str, str]:
    """Variables in their order; each may use those before it."""
    words = dict(known)
    for name, value in recipe.variables.items():
        words[name] = _filled(str(value), words, problems, f"variables.{name}")
    return words


def _step(recipe: StepRecipe, words: Mapping[str, str], problems: list[str]) -> Step:
    where = f"step {recipe.name!r}"

    def fill(text: str) -> str:
        return _filled(text, words, problems, where)

    argv = [fill(word) for word in _split(recipe.run, where, problems)]
    if argv and argv[0] == "deltakit":
        problems.append(f"{where}: leave the word deltakit out, start with the verb")
    save = Path(fill(recipe.save)) if recipe.save else None
    return Step(recipe.name, tuple(argv), save, tuple(Path(fill(i)) for i in recipe.inputs), recipe.expect)


def _split(text: str, where: str, problems: list[str]) -> list[str]:
    """Words as a shell takes them; what only a shell can do is a problem."""
    try:
        found = shlex.split(text)
    except ValueError as error:
        problems.append(f"{where}: {error}")
        return []
    for word in found:
        if word in _SHELL:
            problems.append(f"{where}: {word!r} is shell syntax; one command a step, `save:` takes its output")
    return found


def _filled(text: str, words: Mapping[str, str], problems: list[str], where: str) -> str:
    """`text` with {name} replaced; {{ and }} stand for braces."""

    def value(found: re.Match[str]) -> str:
        token, name = found[0], found[1]
        if token in ("{{", "}}"):
            return token[0]
        if name is None:
            problems.append(f"{where}: a lone {token!r} in {text!r}; write {token * 2} for the character")
        elif name not in words:
            problems.append(f"{where}: no variable {name!r}; {did_you_mean(name, list(words))}")
        return words.get(name, "")

    return _BRACES.sub(value, text)


def _relative(path: Path) -> str:
    """Short where the path lies under the current folder, so that echoed commands read well."""
    here = Path.cwd()
    whole = path.resolve()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else str(whole)
