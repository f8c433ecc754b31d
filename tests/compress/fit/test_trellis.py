"""Coding columns by a trellis. Run: pytest tests/compress/fit/test_trellis.py"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from deltakit.compress.codec import Context
from deltakit.compress.codecs.svd_mixed import SvdMixed
from deltakit.compress.fit.bands import parse_bands
from deltakit.compress.fit.trellis import code_column
from deltakit.compress.hessian import Hessian
from deltakit.delta.coding.trellis import packed, ring, states, table
from deltakit.delta.site import Site
from deltakit.delta.terms.lowrank import LowRank
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec


def lost(x, bits):
    found, scale = code_column(x, bits)
    packed(found[:, None], bits)  # is a ring
    return float(((x - scale * found) ** 2).sum() / (x**2).sum())


@pytest.mark.parametrize(("bits", "most"), [(1, 0.29), (2, 0.077), (3, 0.022)])
def test_what_a_gaussian_loses(bits, most):
    """Uniform grids lose 36.3, 11.9 and 3.7 %; Shannon's bound is 25, 6.25 and 1.6 %."""
    assert lost(np.random.default_rng(0).standard_normal(1500), bits) < most


def test_the_best_ring_of_all_of_them_is_hardly_better():
    """Thirteen numbers of one bit, against all 8192 rings."""
    x = np.random.default_rng(3).standard_normal(13)
    found, scale = code_column(x, 1)
    every = np.array(list(itertools.product((0, 1), repeat=13)), np.uint8)
    values = table()[states(ring(every, 1), 1)].astype(np.float64)
    gain = np.square(values @ x) / np.square(values).sum(axis=1)
    mine = float(found.astype(np.float64) @ x) ** 2 / float((found.astype(np.float64) ** 2).sum())
    assert scale > 0
    assert mine > 0.8 * gain[values @ x > 0].max()


@pytest.mark.parametrize("bits", [1, 2, 3])
@pytest.mark.parametrize("length", [1, 2, 7, 8, 12, 23, 24, 25, 100])
def test_any_length_is_a_ring(length, bits):
    x = np.random.default_rng(length).standard_normal(length)
    assert lost(x, bits) <= 1.0


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_the_size_of_the_numbers_does_not_matter(size):
    x = np.random.default_rng(5).standard_normal(60)
    found, scale = code_column(x * size, 2)
    assert np.array_equal(found, code_column(x, 2)[0])
    assert scale == pytest.approx(size * code_column(x, 2)[1], rel=1e-6)


def test_zeros_have_scale_zero():
    assert code_column(np.zeros(50), 2)[1] == 0.0


def encoded(rows, budget, hessian=None, **given):
    context = Context(Site("w"), TensorSpec(rows.shape, "BF16"), budget, hessian)
    return SvdMixed(**given).encode(rows, context)[0]


def test_svd_mixed_loses_less_in_the_same_bytes():
    rows = np.random.default_rng(7).standard_normal((160, 128)).astype(np.float32)
    plain, term = (encoded(rows, 160 * 128 // 8, trellis=t) for t in (False, True))
    assert term.nbytes <= plain.nbytes
    assert {code for code, _ in term.bands} <= {"T1", "T2", "T3", 4, 5, 6, 7, 8}
    errors = [float(((t.rows(0, 160) - rows) ** 2).sum() / (rows**2).sum()) for t in (plain, term)]
    assert errors[1] < 0.96 * errors[0]
    fields, raw = term.save()
    again = LowRank.load(fields, memoryview(raw), term.spec)
    assert again.rows(100, 130).tobytes() == term.rows(0, 160)[100:130].tobytes()


def test_bands_may_name_a_trellis():
    assert parse_bands("8:1,t2:5,t1:3") == ((8, 1), ("T2", 5), ("T1", 3))
    rows = np.random.default_rng(8).standard_normal((40, 30)).astype(np.float32)
    assert encoded(rows, None, bands="8:1,T2:5,T1:3").bands == ((8, 1), ("T2", 5), ("T1", 3))


@pytest.mark.parametrize("given", [{"trellis": True}, {"bands": "8:1,t2:4"}])
def test_known_inputs_are_refused(given):
    rows = np.random.default_rng(8).standard_normal((40, 30)).astype(np.float32)
    with pytest.raises(RecipeError, match="trellis codes do not follow inputs"):
        encoded(rows, 300, Hessian(np.eye(30), 1, 99), **given)
