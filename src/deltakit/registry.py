"""A lazy table from names to factories; it parses "drop(density=0.2)" and suggests what was meant."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Any

from deltakit.errors import RecipeError

__all__ = ["Registry", "check_keys", "did_you_mean", "parse_call"]


_SPELLING = 'write name or name(key=value), e.g. "drop(density=0.2)"'


def did_you_mean(name: str, known: list[str]) -> str:
    """A remedy for a misspelt name."""
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(sorted(known))}" if known else "it takes none"


def check_keys(given: Mapping[str, Any], known: list[str], where: str) -> None:
    """Every given key must be known (law 7: nothing is ignored in silence)."""
    for unknown in sorted(given.keys() - set(known)):
        raise RecipeError(f"{where} has no parameter {unknown!r}", remedy=did_you_mean(unknown, known))


def parse_call(text: str) -> tuple[str, dict[str, Any]]:
    """("drop", {"density": 0.2}) from "drop(density=0.2)"; literals only, nothing is evaluated."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        raise RecipeError(f"cannot read {text!r}", remedy=_SPELLING) from None
    if isinstance(node, ast.Name):
        return node.id, {}
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.args:
        raise RecipeError(f"cannot read {text!r}", remedy=_SPELLING)
    try:
        return node.func.id, {str(k.arg): ast.literal_eval(k.value) for k in node.keywords}
    except ValueError:
        raise RecipeError(f"{text!r}: values must be literals", remedy="numbers, strings, lists, true/false") from None


@dataclass
class Registry:
    """`table` maps a name to "module:attribute"; entry points of `group` add names from outside; `spelling` says how a
    person gives a parameter."""

    kind: str
    table: Mapping[str, str]
    group: str = ""
    spelling: str = "write {name}({key}=...)"
    _outside: dict[str, str] | None = field(default=None, repr=False)

    def targets(self) -> dict[str, str]:
        """All names and their targets; a collision with an entry point is an error."""
        if self._outside is None:
            found = entry_points(group=self.group) if self.group else ()
            self._outside = {e.name: e.value for e in found}
            for name in self._outside.keys() & self.table.keys():
                raise RecipeError(f"{self.kind} {name!r} is defined twice", remedy=f"uninstall {self._outside[name]}")
        return {**self.table, **self._outside}

    def names(self) -> list[str]:
        """Sorted names."""
        return sorted(self.targets())

    def factory(self, name: str) -> Callable[..., Any]:
        """The factory behind a name, imported now."""
        targets = self.targets()
        if name not in targets:
            raise RecipeError(f"unknown {self.kind} {name!r}", remedy=did_you_mean(name, sorted(targets)))
        module, _, attribute = targets[name].partition(":")
        made: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
        return made

    def parameters(self, name: str) -> dict[str, inspect.Parameter]:
        """The keyword parameters of a factory: they are the recipe schema and the help text."""
        return dict(inspect.signature(self.factory(name)).parameters)

    def make(self, name: str, /, **given: Any) -> Any:
        """An instance; unknown or missing keys are errors that name the parameter."""
        parameters = self.parameters(name)
        check_keys(given, list(parameters), f"{self.kind} {name!r}")
        missing = [p.name for p in parameters.values() if p.default is p.empty and p.name not in given]
        if missing:
            problem = f"{self.kind} {name!r} needs {', '.join(missing)}"
            remedy = self.spelling.format(name=name, key=missing[0], option=missing[0].replace("_", "-"))
            raise RecipeError(problem, remedy=remedy)
        return self.factory(name)(**given)

    def parse(self, text: str) -> Any:
        """An instance from "name" or "name(key=value)"."""
        name, given = parse_call(text)
        return self.make(name, **given)

    def summary(self, name: str) -> str:
        """The first line of the docstring; where its sentence goes on, what is left out is marked."""
        line, _, rest = (inspect.getdoc(self.factory(name)) or "").partition("\n")
        goes_on = bool(rest) and not rest.startswith("\n") and not line.endswith(".")
        return f"{line} ..." if goes_on else line

    def spell(self, thing: Any, name: str) -> str:
        """The canonical text of a dataclass instance: parse(spell(x)) == x."""
        fields = {f.name: getattr(thing, f.name) for f in dataclasses.fields(thing) if f.init}
        inner = ", ".join(f"{k}={v!r}" for k, v in fields.items())
        return f"{name}({inner})" if inner else name
