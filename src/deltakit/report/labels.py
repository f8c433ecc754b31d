"""Labels beside points, moved up or down until none covers another, nor a point."""

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


def place_labels(
    labels: Sequence[Label], size: float, low: float, high: float, points: Sequence[tuple[float, float]] = ()
) -> list[Label]:
    """The labels in their order, none nearer than a line to another that it would touch, between `low` and `high`,
    and none over one of the `points`.

    Each goes to the free height nearest to its own; where all is full points may be covered, and then it stays.
    """
    placed: dict[int, Label] = {}
    for i in sorted(range(len(labels)), key=lambda i: (labels[i].x, -labels[i].y)):
        near = [p for p in placed.values() if _touch_sideways(p, labels[i], size)]
        taken, line = [p.y for p in near], 1.15 * size
        under = [y for x, y in points if labels[i].x - 3 < x < labels[i].x + labels[i].width(size) + 3]
        free = _free(labels[i].y, [*taken, *under], line, low, high)
        height = _free(labels[i].y, taken, line, low, high) if free is None else free
        placed[i] = Label(labels[i].text, labels[i].x, labels[i].y if height is None else height)
    return [placed[i] for i in range(len(labels))]


def _touch_sideways(a: Label, b: Label, size: float) -> bool:
    return a.x < b.x + b.width(size) and b.x < a.x + a.width(size)


def _free(y: float, taken: Sequence[float], line: float, low: float, high: float) -> float | None:
    """The nearest height to `y` that keeps a line's distance from all taken ones; None where there is none."""
    wanted = [y, *(t + side * line for t in taken for side in (1, -1))]
    fits = [w for w in wanted if low <= w <= high and all(abs(w - t) >= line - 1e-6 for t in taken)]
    return min(fits, key=lambda w: (abs(w - y), -w), default=None)
