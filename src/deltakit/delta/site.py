"""Where a range of numbers lives: all that a primitive may know besides its data."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Site"]


@dataclass(frozen=True)
class Site:
    """`name` of the tensor, `model` it belongs to (the key of its masks), the `seed`, the first element
    `start` of the range within the flattened tensor, and the `layer` of `depth` layers, where known."""

    name: str
    model: str = ""
    seed: int = 0
    start: int = 0
    layer: int | None = None
    depth: int | None = None
