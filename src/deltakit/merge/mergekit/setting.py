"""The value of a parameter as configs write it: one value, a gradient over the layers, or values by tensor name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["Choice", "Setting", "Settings", "is_gradient", "parse_setting", "value_at"]

Scalar: TypeAlias = "bool | int | float | str"
_WORDS = {"yes": True, "on": True, "no": False, "off": False}  # booleans of YAML 1.1, which mergekit's reader takes


@dataclass(frozen=True)
class Choice:
    """A value for the tensors whose name contains `pattern`; None stands for all."""

    value: Scalar | tuple[Scalar, ...]
    pattern: str | None = None

    def hits(self, name: str) -> bool:
        """Whether the choice is meant for the tensor."""
        return self.pattern is None or self.pattern in name


Setting: TypeAlias = "Scalar | tuple[Scalar, ...] | tuple[Choice, ...]"
Settings: TypeAlias = Mapping[str, Setting]


def parse_setting(data: Any) -> Setting:
    """A setting from plain data. ValueError says what is wrong."""
    if isinstance(data, Mapping):
        return (_choice(data),)
    if not isinstance(data, (list, tuple)):
        return _scalar(data)
    choices = [isinstance(item, Mapping) for item in data]
    if any(choices) and not all(choices):
        raise ValueError("a list is either all numbers or all {filter, value}")
    return tuple(_choice(item) for item in data) if any(choices) else _gradient(data)


def _choice(data: Mapping[str, Any]) -> Choice:
    unknown = sorted(str(k) for k in data if k not in ("filter", "value"))
    if unknown or "value" not in data:
        raise ValueError(f"a choice is {{filter, value}}; found {', '.join(map(str, data)) or 'nothing'}")
    pattern, value = data.get("filter"), data["value"]
    if pattern is not None and not isinstance(pattern, str):
        raise ValueError(f"a filter is part of a tensor's name, found {pattern!r}")
    found = _gradient(value) if isinstance(value, (list, tuple)) else _scalar(value)
    return Choice(found, None if pattern == "*" else pattern)


def _gradient(data: Any) -> tuple[Scalar, ...]:
    found = tuple(_scalar(item) for item in data)
    words = [item for item in found if isinstance(item, str)]
    if words and len(found) > 1:
        raise ValueError(f"a gradient is a list of numbers, found {words[0]!r}")
    return found


def _scalar(data: Any) -> Scalar:
    if isinstance(data, str):
        return _number(data)
    if not isinstance(data, (bool, int, float)):
        raise ValueError(f"expected a number, a list or {{filter, value}}, found {'nothing' if data is None else data}")
    return data


def _number(text: str) -> Scalar:
    """Text that means a number or a boolean to mergekit, else the text."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return float(text)
    except ValueError:
        return text


def value_at(setting: Setting, name: str, t: float) -> Scalar | None:
    """The value for the tensor `name` at the place `t` (0 to 1) of its slice; None where no choice is meant for it."""
    if not isinstance(setting, tuple):
        return setting
    if any(isinstance(item, Choice) for item in setting):
        hits = (item.value for item in setting if isinstance(item, Choice) and item.hits(name))
        value = next(hits, None)
        return None if value is None else value_at(value, name, t)
    return _between([item for item in setting if not isinstance(item, Choice)], t)


def _between(values: list[Scalar], t: float) -> Scalar | None:
    """Linear interpolation; an empty list gives nothing."""
    if len(values) < 2:
        return values[0] if values else None
    at = t * (len(values) - 1)
    low = min(int(at), len(values) - 2)
    share = at - low
    return (1.0 - share) * float(values[low]) + share * float(values[low + 1])


def is_gradient(setting: Setting) -> bool:
    """Whether the value depends on the layer."""
    if not isinstance(setting, tuple):
        return False
    return any(is_gradient(i.value) if isinstance(i, Choice) else len(setting) > 1 for i in setting)
