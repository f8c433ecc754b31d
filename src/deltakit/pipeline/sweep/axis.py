"""What one searched field may take: listed values, steps of a range, or anything between two bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from deltakit.errors import RecipeError
from deltakit.registry import check_keys

__all__ = ["Axis", "Scalar", "read_axis"]

Scalar: TypeAlias = bool | int | float | str | None
_FORMS = "give [values], {from, to, step}, or {low, high} with log or integer"
_MOST = 1000  # values of one range


@dataclass(frozen=True)
class Axis:
    """`values` in their order; empty: drawn between `low` and `high`, both included, evenly or (`log`) evenly in the
    logarithm, whole numbers only if `integer`."""

    field: str
    values: tuple[Scalar, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    integer: bool = False

    @property
    def ordered(self) -> bool:
        """Whether its values are numbers in rising order, so that near ones are alike."""
        numbers = [v for v in self.values if isinstance(v, int | float) and not isinstance(v, bool)]
        return len(numbers) == len(self.values) and numbers == sorted(numbers)


def read_axis(field: str, given: Any) -> Axis:
    """The axis of what stands behind a field in `search:`. RecipeError for what is none, is empty, is not finite or
    names a value twice."""
    if isinstance(given, list | tuple):
        return Axis(field, _listed(field, given))
    if not isinstance(given, Mapping):
        raise RecipeError(f"{field}: a single value, {given!r}, is no search", remedy=_FORMS)
    if "from" in given or "to" in given:
        return Axis(field, _range(field, given))
    if "low" in given or "high" in given:
        return _drawn(field, given)
    raise RecipeError(f"{field}: cannot read {dict(given)!r}", remedy=_FORMS)


def _listed(field: str, given: Any) -> tuple[Scalar, ...]:
    if not given:
        raise RecipeError(f"{field}: no values", remedy=_FORMS)
    for value in given:
        if not isinstance(value, bool | int | float | str | None):
            raise RecipeError(f"{field}: {value!r} is no plain value", remedy="list numbers, words, true or false")
        if isinstance(value, float):
            _finite(field, "a value", value)
    keys = [(isinstance(v, bool), v) for v in given]
    if twice := [value for i, value in enumerate(given) if keys[i] in keys[:i]]:
        raise RecipeError(f"{field}: {twice[0]!r} is listed twice", remedy="list each value once")
    return tuple(given)


def _range(field: str, given: Mapping[str, Any]) -> tuple[Scalar, ...]:
    """from, from + step, ... up to and with `to`, as the decimals that are written."""
    check_keys(given, ["from", "to", "step"], field)
    first, last, step = (_number(field, given, key) for key in ("from", "to", "step"))
    if step <= 0 or last < first:
        raise RecipeError(
            f"{field}: from {first:g} to {last:g} by {step:g} is empty", remedy="let it rise by a step > 0"
        )
    start, width = Decimal(str(first)), Decimal(str(step))
    count = int((Decimal(str(last)) - start) / width) + 1
    if count > _MOST:
        raise RecipeError(f"{field}: {count:,} values", remedy="take a larger step")
    whole = all(isinstance(given[key], int) for key in ("from", "step"))
    return tuple(int(v) if whole else float(v) for v in (start + i * width for i in range(count)))


def _drawn(field: str, given: Mapping[str, Any]) -> Axis:
    check_keys(given, ["low", "high", "log", "integer"], field)
    low, high = _number(field, given, "low"), _number(field, given, "high")
    log, integer = (given.get(key, False) for key in ("log", "integer"))
    if not isinstance(log, bool) or not isinstance(integer, bool):
        raise RecipeError(f"{field}: log and integer are true or false", remedy=_FORMS)
    if low >= high:
        raise RecipeError(f"{field}: nothing lies between {low:g} and {high:g}", remedy="let low be below high")
    if log and low <= 0:
        raise RecipeError(f"{field}: a logarithm has no {low:g}", remedy="let low be above 0, or leave log out")
    if integer and (low != int(low) or high != int(high)):
        raise RecipeError(f"{field}: {low:g} and {high:g} are not both whole", remedy="or leave integer out")
    return Axis(field, (), low, high, log, integer)


def _number(field: str, given: Mapping[str, Any], key: str) -> float:
    value = given.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RecipeError(f"{field}: {key} is {value!r}, no number", remedy=_FORMS)
    return _finite(field, key, value)


def _finite(field: str, key: str, value: float) -> float:
    if not math.isfinite(value):
        raise RecipeError(f"{field}: {key} is {value}, not finite", remedy="give a finite number")
    return value
