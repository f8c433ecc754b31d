"""Pieces and shares. Run: pytest tests/tenants/test_share.py"""

from __future__ import annotations

import numpy as np
import torch

from deltakit.runtime.places import Place
from deltakit.tenants.share import Piece, Share, Vocabulary
from deltakit.tenants.terms import Differences


def held(*shape: int, seed: int = 0) -> Differences:
    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return Differences(values.reshape(shape[0], -1), shape, torch.float32, "cpu")


def place(*spans: range) -> Place:
    return Place("m.weight", tuple(np.array(s) for s in spans), tuple(range(len(spans))), False)


WHOLE = Place("m.weight", (np.arange(4), np.arange(3)), (0, 1), True)


def test_a_piece_multiplies_its_inputs_alone() -> None:
    x = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    piece = Piece(0.5, held(4, 3), WHOLE, ins=slice(1, 4))
    torch.testing.assert_close(piece.product(x), x[:, 1:4] @ held(4, 3).dense().T)
    assert not piece.whole
    assert Piece(0.5, held(4, 3), WHOLE).whole
    one = held(4, 3)
    assert Piece(0.5, one, WHOLE).key() == Piece(2.0, one, WHOLE).key() != piece.key()


def test_a_parameter_is_made_whole_of_base_and_pieces() -> None:
    base = torch.ones(6, 3)
    share = Share()
    share.add("weight", [Piece(2.0, held(2, 3), place(range(2), range(3)))])
    share.add("weight", [Piece(1.0, held(2, 3, seed=1), place(range(4, 6), range(3)))])
    want = base.clone()
    want[:2] += 2 * held(2, 3).dense()
    want[4:] += held(2, 3, seed=1).dense()
    torch.testing.assert_close(share.whole("weight", base), want)
    assert torch.equal(base, torch.ones(6, 3))
    assert share.whole("bias", base) is base
    share.own["bias"] = torch.zeros(3)
    assert share.whole("bias", base) is share.own["bias"]
    assert len(list(share.held)) == 2


def test_a_vocabulary_counts_shared_and_added_rows() -> None:
    assert Vocabulary(7, None).size == 7
    made = Share().with_vocabulary(Vocabulary(7, None, torch.zeros(2, 3)))
    assert made.vocabulary is not None
    assert made.vocabulary.size == 9
