"""Rows that did not change cost nothing."""

import numpy as np
import pytest

from deltakit.compress.codec import Context, parse_codec
from deltakit.compress.codecs.rows import RowsCodec
from deltakit.compress.hessian import Hessian
from deltakit.compress.offer import Study, offers
from deltakit.delta.site import Site
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec
from support.tensors import normal


def embedding(rows=400, columns=64, changed=40):
    delta = np.zeros((rows, columns), np.float32)
    ids = np.random.default_rng(0).permutation(rows)[:changed]
    delta[ids] = normal((changed, columns), 1, 0.01)
    return delta, TensorSpec((rows, columns), "BF16")


def encode(codec, delta, spec, budget=None, hessian=None):
    (term,) = parse_codec(codec).encode(delta, Context(Site("w", "m"), spec, budget, hessian))
    return term


@pytest.mark.parametrize("inner", ["group_quant(bits=8)", "lowrank(rank=64, dtype='F32')", "sign(scale='row')"])
def test_only_changed_rows_are_coded(inner):
    delta, spec = embedding()
    term = encode(f'rows(inner="{inner}")', delta, spec)
    changed = delta.any(axis=1)
    made = term.rows(0, 400)
    assert (made.any(axis=1) == changed).all()
    alone = parse_codec(inner).encode(delta[changed], Context(Site("w", "m"), spec.with_rows(40)))[0]
    assert (made[changed] == alone.rows(0, 40)).all()
    assert term.nbytes <= alone.nbytes + 50
    assert term.nbytes <= parse_codec(f'rows(inner="{inner}")').nbytes(spec, None)


def test_a_budget_is_for_all_rows_and_fewer_take_less():
    delta, spec = embedding()
    codec = RowsCodec(inner="group_quant")
    assert not codec.fixed
    term = encode(codec_text := 'rows(inner="group_quant")', delta, spec, 400 * 64 // 2)
    assert term.nbytes <= 400 * 64 // 2 // 10 + 50
    full = encode(codec_text, normal((400, 64), 3), spec, 400 * 64 // 2)
    assert full.nbytes <= codec.nbytes(spec, 400 * 64 // 2) <= 400 * 64 // 2
    assert codec.least(spec) == codec.nbytes(spec, 0)


def test_tensors_of_other_dimensions_and_none_changed():
    delta = normal((6, 3, 16), 0)
    delta[[1, 4]] = 0
    term = encode('rows(inner="group_quant(bits=8)")', delta.reshape(18, 16), TensorSpec((6, 3, 16), "F32"))
    assert np.allclose(term.rows(0, 6), delta.reshape(6, 48), atol=0.05)
    assert not term.gather([1, 4]).any()
    assert encode("rows", np.zeros((8, 4), np.float32), TensorSpec((8, 4), "F32")).nbytes == 0


def test_moments_of_the_inputs_reach_the_inner_codec_where_they_face_it():
    delta, spec = embedding()
    gram = np.diag(np.geomspace(1e4, 1e-4, 64))
    plain = encode('rows(inner="lowrank(rank=4)")', delta, spec)
    facing = encode('rows(inner="lowrank(rank=4)")', delta, spec, None, Hessian(gram, 1, 64))
    lost = [Hessian(gram).error(delta - t.rows(0, 400)) for t in (plain, facing)]
    assert lost[1] < lost[0]
    along = encode('rows(inner="lowrank(rank=4)")', delta, spec, None, Hessian(np.eye(400), 0, 64))
    assert (along.rows(0, 400) == plain.rows(0, 400)).all()


def test_offers_where_enough_rows_did_not_change():
    delta, spec = embedding()
    found = list(offers(RowsCodec(), Study(spec, delta)))
    assert len(found) == 8
    for offer in found[1::3]:
        term = offer.codec.encode(delta, Context(Site("w", "m"), spec, offer.budget))[0]
        assert term.nbytes == offer.nbytes
        real = float(np.square(delta - term.rows(0, 400), dtype=np.float64).sum())
        assert 0.7 * real < offer.error < 1.4 * real
    assert not list(offers(RowsCodec(), Study(spec, normal((400, 64), 3))))


def test_rows_within_rows_and_unknown_codecs_are_refused():
    with pytest.raises(RecipeError, match="rows within rows"):
        RowsCodec(inner="rows")
    with pytest.raises(RecipeError, match="unknown codec"):
        RowsCodec(inner="grup_quant")
