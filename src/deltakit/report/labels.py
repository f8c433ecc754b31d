"""Labels beside points, moved up or down until none covers another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Label", "place_labels"]


@dataclass(frozen=True)
class Label:
    """A text and where it stands: (x, y) of its left middle, in points of the page."""

    text: str
    x: float
    y: float

    def width(self, size: float) -> float:
        """About how wide it is in a font of this size."""
        return 0.56 * size * len(self.text)


def place_labels(labels: Sequence[Label], size: float, low: float, high: float) -> list[Label]:
    """The labels in their order, none nearer than a line to another that it would touch, between `low` and `high`.

    Each goes to the free height nearest to its own; where all is full it stays.
    """
    placed: dict[int, Label] = {}
    for i in sorted(range(len(labels)), key=lambda i: (labels[i].x, -labels[i].y)):
        near = [p for p in placed.values() if _touch_sideways(p, labels[i], size)]
        placed[i] = Label(labels[i].text, labels[i].x, _free(labels[i].y, [p.y for p in near], 1.15 * size, low, high))
    return [placed[i] for i in range(len(labels))]


def _touch_sideways(a: Label, b: Label, size: float) -> bool:
    return a.x < b.x + b.width(size) and b.x < a.x + a.width(size)


def _free(y: float, taken: Sequence[float], line: float, low: float, high: float) -> float:
    """The nearest height to `y` that keeps a line's distance from all taken ones."""
    wanted = [y, *(t + side * line for t in taken for side in (1, -1))]
    fits = [w for w in wanted if low <= w <= high and all(abs(w - t) >= line - 1e-6 for t in taken)]
    return min(fits, key=lambda w: (abs(w - y), -w), default=y)
