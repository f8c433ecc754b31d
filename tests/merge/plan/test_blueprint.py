"""A blueprint is plain data with honest defaults."""

from __future__ import annotations

from deltakit.merge.plan.blueprint import Blueprint, Piece, Read, Use


def test_a_piece_reads_whatever_name_and_scales_by_nothing() -> None:
    piece = Piece("linear", (Use(Read("a", "x")), Use(Read("b", "y"), 0.5)))
    made = Blueprint({"a": "A", "b": "B"}, {"x": piece}, "a")
    assert [u.weight for u in made.pieces["x"].uses] == [1.0, 0.5]
    assert (piece.scale, piece.base, made.base, made.notes) == (1.0, None, None, ())
