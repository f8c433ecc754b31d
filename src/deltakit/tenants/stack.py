"""The low-rank terms of one linear map as two matrices: all rows and all tenants in two products."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from deltakit.tenants.share import Piece
from deltakit.tenants.terms import Factors

__all__ = ["Stack", "stackable"]


def stackable(piece: Piece, owner: object) -> bool:
    """Float factors over the whole map, which lie in no other map's stack."""
    return type(piece.term) is Factors and piece.whole and piece.term.owner in (None, owner)


class Stack:
    """`shrink` (ranks, inputs), `expand` (ranks, outputs), `s` (ranks,): the ranks of all terms, one behind the other.

    The terms' own factors become views of these, so that they are still held once.
    """

    def __init__(self, pieces: Sequence[Piece], owner: object) -> None:
        terms = [piece.term for piece in pieces if isinstance(piece.term, Factors)]
        flips = [piece.flipped for piece in pieces]
        self.shrink = torch.cat([t.ut if f else t.vt for t, f in zip(terms, flips, strict=True)])
        self.expand = torch.cat([t.vt if f else t.ut for t, f in zip(terms, flips, strict=True)])
        self.s = torch.cat([t.s.detach() for t in terms])
        self.at: dict[int, slice] = {}
        start = 0
        for term, flipped in zip(terms, flips, strict=True):
            span = slice(start, start + len(term.s))
            start = span.stop
            self.at[id(term)] = span
            shrink, expand = self.shrink[span], self.expand[span]
            term.ut, term.vt = (shrink, expand) if flipped else (expand, shrink)
            term.owner = owner
            trained, term.s = term.s.requires_grad, self.s[span]
            term.s.requires_grad_(trained)

    def coefficients(self, rows: Sequence[Sequence[Piece]]) -> torch.Tensor:
        """(rows, ranks): each row's coefficient of every rank, 0 where the row lacks the term."""
        out = self.s.new_zeros(len(rows), len(self.s))
        for row, pieces in enumerate(rows):
            for piece in pieces:
                out[row, self.at[id(piece.term)]] += piece.coef
        return out

    def add(self, y: torch.Tensor, x: torch.Tensor, coefficients: torch.Tensor) -> None:
        """y (rows, ..., outputs) += each row's own sum of terms of x (rows, ..., inputs)."""
        scale = (coefficients * self.s).reshape(len(x), *(1,) * (x.dim() - 2), -1)
        y += (torch.nn.functional.linear(x, self.shrink) * scale) @ self.expand
