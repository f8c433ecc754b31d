"""`auto`: looks at every matrix, asks every codec what it offers, and shares one budget out where it helps most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from deltakit.compress.codec import CODECS, Codec, parse_codec
from deltakit.compress.offer import Study
from deltakit.compress.plan.texts import split_outside
from deltakit.errors import RecipeError
from deltakit.registry import did_you_mean

__all__ = ["Auto"]

_WEIGHTS = ("plain", "relative")


@dataclass(frozen=True)
class Auto:
    """Choose codec, rank and bits for every matrix, by error per byte under one budget (--ratio or --bytes).

    A first pass reads every matrix once and asks each codec for what it offers: sizes, each with the squared error to
    expect. Of these the lower convex hull is taken, and steps along all hulls in the order of error per byte (the
    Lagrangian of the knapsack), until the budget is spent. The error is that of the outputs where the inputs' moments
    are known, else that of the weights. `codecs` restricts the choice ("svd_mixed, sign(scale='row')"; "": all that
    make offers). `weigh` is plain (errors add up as they are) or relative (each over its matrix's energy, times its
    elements: small deltas count as much as large ones).
    """

    name: ClassVar[str] = "auto"
    codecs: str = ""
    weigh: str = "plain"

    def __post_init__(self) -> None:
        if self.weigh not in _WEIGHTS:
            raise RecipeError(f"auto: weigh {self.weigh!r} cannot be", remedy=did_you_mean(self.weigh, list(_WEIGHTS)))
        _ = self.candidates

    @property
    def fixed(self) -> bool:
        """It follows a budget."""
        return False

    @property
    def candidates(self) -> tuple[Codec, ...]:
        """The codecs that it chooses among."""
        if not self.codecs:
            return tuple(parse_codec(name) for name in CODECS.names() if _offers(CODECS.factory(name)))
        found = tuple(parse_codec(text) for text in split_outside(self.codecs, ","))
        for codec in found:
            if not _offers(codec):
                raise RecipeError(f"auto: {codec.name} makes no offers", remedy="leave it out of `codecs`")
        return found

    def weight(self, study: Study) -> float:
        """What one unit of error in this matrix counts."""
        if self.weigh == "plain" or not study.energy:
            return 1.0
        return study.spec.numel / study.energy


def _offers(codec: object) -> bool:
    return hasattr(codec, "offers")
