"""What `deltakit diff --format json` found, as a grid of layers and modules."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from deltakit.errors import InputError

__all__ = ["Comparison", "place_of", "read_comparison"]

_LAYERED = re.compile(r"^.*?\.(\d+)\.(.+)$")


@dataclass(frozen=True)
class Comparison:
    """Relative norm (norm of the delta over norm of the base) of every tensor of `second` against `first`."""

    first: str
    second: str
    relative: dict[str, float]
    total: float

    @property
    def layers(self) -> list[int]:
        """Numbers of the layers, in order."""
        return sorted({place[0] for name in self.relative if (place := place_of(name))})

    @property
    def modules(self) -> list[str]:
        """Names of the modules that some layer has, in the order of the file."""
        return list(dict.fromkeys(place[1] for name in self.relative if (place := place_of(name))))

    @property
    def outside(self) -> dict[str, float]:
        """The tensors that belong to no layer: embedding, head, last norm."""
        return {name: value for name, value in self.relative.items() if place_of(name) is None}

    def grid(self) -> list[list[float]]:
        """layers x modules; NaN where a layer lacks a module."""
        at = {place: value for name, value in self.relative.items() if (place := place_of(name))}
        return [[at.get((layer, module), math.nan) for module in self.modules] for layer in self.layers]


def read_comparison(found: Any, where: str) -> Comparison:
    """From the parsed output of `deltakit diff --format json`. InputError for anything else."""
    try:
        relative = {str(t["name"]): float(t["relative"]) for t in found["tensors"]}
        total = float(found["summary"]["relative"])
        return Comparison(str(found["first"]), str(found["second"]), relative, total)
    except (KeyError, TypeError, ValueError) as wrong:
        problem = f"{where}: no comparison ({type(wrong).__name__}: {wrong})"
        raise InputError(problem, remedy="give what `deltakit diff A B --format json` prints") from None


def place_of(name: str) -> tuple[int, str] | None:
    """(3, "mlp.up_proj") of "model.layers.3.mlp.up_proj.weight"."""
    found = _LAYERED.match(name)
    return (int(found[1]), found[2].removesuffix(".weight")) if found else None
