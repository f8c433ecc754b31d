"""Stacked low-rank terms against one at a time. Run: pytest tests/tenants/test_stack.py"""

from __future__ import annotations

import numpy as np
import torch

from deltakit.delta.terms.lowrank import LowRank
from deltakit.runtime.places import Place
from deltakit.tenants.share import Piece
from deltakit.tenants.stack import Stack, stackable
from deltakit.tenants.terms import Factors, PackedFactors
from deltakit.tensors import TensorSpec

OUT, IN = 7, 5
OWNER = object()


def term(rank: int, seed: int, flipped: bool = False) -> LowRank:
    rng = np.random.default_rng(seed)
    shape = (IN, OUT) if flipped else (OUT, IN)
    u, v = (rng.standard_normal((n, rank)).astype(np.float32) for n in shape)
    return LowRank.of(TensorSpec(shape, "F32"), u, v, "F32")


def pieces(flipped: bool = False) -> list[Piece]:
    place = Place("w", (np.arange(OUT), np.arange(IN)), (0, 1), True)
    return [Piece(1.0, Factors(term(r, r, flipped), torch.float32, "cpu"), place, flipped) for r in (1, 3, 2)]


def test_all_rows_in_two_products_are_each_row_alone() -> None:
    for flipped in (False, True):
        made = pieces(flipped)
        want = [p.term.dense().T.clone() if flipped else p.term.dense().clone() for p in made]
        stack = Stack(made, OWNER)
        rows = [[made[0], made[2]], [], [Piece(0.5, made[1].term, made[1].place, flipped), made[1]]]
        x, y = torch.randn(3, 4, IN), torch.zeros(3, 4, OUT)
        stack.add(y, x, stack.coefficients(rows))
        torch.testing.assert_close(y[0], x[0] @ (want[0] + want[2]).T, rtol=1e-5, atol=1e-5)
        assert not y[1].any()
        torch.testing.assert_close(y[2], x[2] @ (1.5 * want[1]).T, rtol=1e-5, atol=1e-5)
        flat = torch.zeros(3, OUT)
        stack.add(flat, x[:, 0], stack.coefficients(rows))
        torch.testing.assert_close(flat, y[:, 0], rtol=1e-5, atol=1e-5)


def test_terms_are_views_of_the_stack_and_keep_their_numbers() -> None:
    made = pieces()
    before = [p.term.dense().clone() for p in made]
    stack = Stack(made, OWNER)
    assert all(p.term.ut.untyped_storage().data_ptr() == stack.expand.untyped_storage().data_ptr() for p in made)
    assert all(torch.equal(p.term.dense(), b) for p, b in zip(made, before, strict=True))
    made[1].term.s.mul_(2)  # trained scales count at once
    x, y = torch.randn(1, IN), torch.zeros(1, OUT)
    stack.add(y, x, stack.coefficients([[made[1]]]))
    torch.testing.assert_close(y, 2 * x @ before[1].T, rtol=1e-5, atol=1e-5)
    again = Stack(made[1:], OWNER)
    torch.testing.assert_close(made[1].term.dense(), 2 * before[1])
    assert len(again.s) == 5
    assert stackable(made[1], OWNER)
    assert not stackable(made[1], object())  # its numbers lie in a stack already


def test_packed_factors_and_parts_of_a_map_are_not_stacked() -> None:
    place = pieces()[0].place
    assert stackable(pieces()[0], OWNER)
    assert not stackable(Piece(1.0, PackedFactors(term(2, 0), torch.float32, "cpu"), place), OWNER)
    assert not stackable(Piece(1.0, pieces()[0].term, place, outs=slice(0, 3)), OWNER)
