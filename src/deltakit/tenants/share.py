"""What one tenant changes about one module."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import torch

from deltakit.runtime.places import Place
from deltakit.tenants.terms import Held

__all__ = ["Piece", "Share", "Vocabulary"]


@dataclass(frozen=True)
class Piece:
    """coef * term, added to a weight. Of a linear map: `outs` and `ins` are the outputs and inputs that it touches
    (None: all), and the tensor's rows are the outputs, or the inputs if `flipped`."""

    coef: float
    term: Held
    place: Place
    flipped: bool = False
    outs: slice | None = None
    ins: slice | None = None

    @property
    def whole(self) -> bool:
        """Whether it touches every input and output."""
        return self.outs is None and self.ins is None

    def key(self) -> tuple[object, ...]:
        """Equal for pieces that differ in their coefficient alone."""
        return (id(self.term), self.flipped, str(self.outs), str(self.ins))

    def product(self, x: torch.Tensor) -> torch.Tensor:
        """The term's product with activations (..., inputs), without its coefficient."""
        return self.term.times(x if self.ins is None else x[..., self.ins], self.flipped)


@dataclass(frozen=True)
class Vocabulary:
    """The rows of a tenant's embedding or head: the first `shared` are those of `source` (None: of nothing) plus the
    pieces, `added` (rows, width) stand behind them."""

    shared: int
    source: torch.Tensor | None
    added: torch.Tensor | None = None

    @property
    def size(self) -> int:
        """How many tokens the tenant knows."""
        return self.shared + (len(self.added) if self.added is not None else 0)


@dataclass(frozen=True)
class Share:
    """`pieces` by parameter; `own` values of small parameters, whole; the tenant's vocabulary, where it has its own."""

    pieces: dict[str, list[Piece]] = field(default_factory=dict)
    own: dict[str, torch.Tensor] = field(default_factory=dict)
    vocabulary: Vocabulary | None = None

    @property
    def weight(self) -> list[Piece]:
        """The pieces of the parameter `weight`."""
        return self.pieces.get("weight", [])

    @property
    def held(self) -> Iterable[Held]:
        """All terms."""
        return [piece.term for pieces in self.pieces.values() for piece in pieces]

    def add(self, parameter: str, pieces: Iterable[Piece]) -> None:
        """More pieces of a parameter."""
        self.pieces.setdefault(parameter, []).extend(pieces)

    def whole(self, parameter: str, base: torch.Tensor) -> torch.Tensor:
        """A parameter's value for this tenant: its own, or base plus pieces, made whole (transient)."""
        if parameter in self.own:
            return self.own[parameter]
        if parameter not in self.pieces:
            return base
        change = torch.zeros_like(base)
        for piece in self.pieces[parameter]:
            one = torch.zeros_like(base)
            piece.place.put(one, piece.coef * piece.term.dense())
            change = change + one
        return base + change

    def with_vocabulary(self, vocabulary: Vocabulary) -> Share:
        """The same with a vocabulary of its own."""
        return replace(self, vocabulary=vocabulary)
