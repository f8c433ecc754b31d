"""A config's parameters at one tensor: which level wins, where in a gradient, typed as the method wants them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, get_args, get_origin

from deltakit.errors import RecipeError
from deltakit.merge import DIALECTS
from deltakit.merge.mergekit.role import NO_EFFECT, ROLES, Role
from deltakit.merge.mergekit.setting import Settings, value_at
from deltakit.registry import did_you_mean

__all__ = ["Parameters"]


@dataclass(frozen=True)
class Parameters:
    """The parameters of one method. `known` are those that its factory takes, with their annotations."""

    method: str
    role: Role
    known: Mapping[str, Any]
    problems: dict[str, None] = field(default_factory=dict)  # each once, in the order they are met

    @staticmethod
    def of(method: str, dialect: str) -> Parameters:
        """RecipeError for a method that no config can name, or that the dialect lacks."""
        if method not in ROLES:
            raise RecipeError(f"unknown merge_method {method!r}", remedy=did_you_mean(method, sorted(ROLES)))
        factory = DIALECTS[dialect].factory(method)
        signature = inspect.signature(factory, eval_str=True)
        return Parameters(method, ROLES[method], {n: p.annotation for n, p in signature.parameters.items()})

    def whole(self, levels: Sequence[Settings], name: str, t: float) -> tuple[dict[str, Any], float]:
        """The method's parameters for the tensor `name` of the result, and lambda."""
        names = [n for n in self.known if n not in self.role.own]
        found = {n: self.value(n, levels, name, t) for n in names}
        scale = self.value("lambda", levels, name, t) if self.role.scaled else None
        return {n: v for n, v in found.items() if v is not None}, 1.0 if scale is None else float(scale)

    def own(self, levels: Sequence[Settings], label: str, name: str, t: float) -> tuple[float, dict[str, Any]]:
        """A model's weight, and its own parameters, for the tensor `name` that is read of it."""
        names = [n for n in self.role.own if n in self.known and n != "weight"]
        found = {n: self.value(n, levels, name, t) for n in names}
        weight = self.value("weight", levels, name, t) if self.role.weighted else 1.0
        if weight is None:
            self.problems[f"model {label}: {self.method} needs its weight"] = None
        return float(weight or 0.0), {n: v for n, v in found.items() if v is not None}

    def value(self, parameter: str, levels: Sequence[Settings], name: str, t: float) -> Any:
        """The value of the narrowest level that has one for this tensor."""
        for level in levels:
            if parameter in level:
                found = value_at(level[parameter], name, t)
                if found is not None:
                    return self._typed(parameter, found)
        return None

    def _typed(self, parameter: str, value: Any) -> Any:
        """As the method's annotation says; configs write 1 for true and 1e-4 as text."""
        kinds = _kinds(self.known.get(parameter, float))
        if bool in kinds and isinstance(value, (bool, int, float)):
            return bool(value)
        if float in kinds and isinstance(value, (bool, int, float)):
            return float(value)
        if int in kinds and isinstance(value, (bool, int, float)) and float(value).is_integer():
            return int(value)
        if str in kinds and isinstance(value, str):
            return value
        self.problems[f"{parameter}: {value!r} is not what {self.method} takes"] = None
        return None

    def refuse(self) -> None:
        """RecipeError with all problems that were met."""
        if self.problems:
            raise RecipeError(
                f"{len(self.problems)} problem(s) with the parameters of {self.method}",
                remedy="give each model what the method needs, or give it for all at the top",
                details=list(self.problems),
            )

    def ignored(self, own: Iterable[Settings], shared: Iterable[Settings]) -> list[str]:
        """A line for each parameter that has no meaning where it stands."""
        taken = {*self.known, *(("weight",) if self.role.weighted else ()), *(("lambda",) if self.role.scaled else ())}
        given = dict.fromkeys(name for level in shared for name in level)
        alone = dict.fromkeys(name for level in own for name in level)
        lines = [self._useless(n, taken) for n in {**given, **alone} if n not in taken]
        misplaced = [n for n in alone if n in taken and n not in self.role.own]
        return lines + [
            f"parameter {n!r} under a model is ignored: it holds for {self.method} at once" for n in misplaced
        ]

    def _useless(self, name: str, taken: Iterable[str]) -> str:
        if name in NO_EFFECT:
            return f"parameter {name!r} is ignored: it changes no result"
        close = did_you_mean(name, sorted(taken))
        meant = f"; {close}" if close.startswith("did you mean") else ""
        return f"parameter {name!r} is ignored: {self.method} does not take it{meant}"


def _kinds(annotation: Any) -> tuple[Any, ...]:
    """The types in an annotation."""
    if get_origin(annotation) is UnionType or get_origin(annotation) is not None:
        return get_args(annotation)
    return (annotation,)
