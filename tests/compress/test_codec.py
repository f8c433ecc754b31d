"""The contract that every registered codec keeps. Run: pytest tests/compress/test_codec.py"""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from deltakit.compress.codec import CODECS, Context, parse_codec
from deltakit.delta.site import Site
from deltakit.delta.terms import TERMS
from deltakit.delta.terms.matrix import matrix_shape
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec

TEXTS = [
    *CODECS.names(),
    "svd_mixed(bands='8:1,3:2,2:500')",
    "svd_mixed(bands='16:1,32:1,4:3', rounds=1)",
    "lowrank(rank=5, dtype='F32')",
    "lowrank(dtype='BF16')",
    "dare(rescale=False)",
    "dare(bits=1, density=0.3, group=20)",
    "dare(bits=16, density=1.0)",
    "dare(bits=8, q=0.7)",
    "group_quant(bits=2, group=16)",
    "group_quant(bits=3, group=32, grid='zero')",
    "group_quant(bits=8)",
    "sign(scale='row', zeros='keep')",
    "sign(scale='column', zeros='spread')",
    "sign_lowrank(bits=4)",
    "sign_lowrank(rank=5, scale='row')",
    "sign_lowrank(bits=16, rank=500)",
]
SHAPES = [(0, 5), (5, 0), (1,), (1, 1), (63, 63), (1, 40), (40, 1), (17, 90), (130, 40), (6, 20, 17)]


def values(kind, shape):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(shape).astype(np.float32) * np.float32(0.01)
    if kind == "zero":
        return np.zeros(shape, np.float32)
    if kind == "flat":
        return np.full(shape, 0.25, np.float32)
    if kind == "sparse":
        return noise * (rng.random(shape) < 0.05)
    if kind == "tiny":
        return noise * np.float32(1e-30)
    if kind == "spike":
        return np.where(np.arange(noise.size).reshape(shape) == 0, np.float32(100), noise)
    return noise


def made(text, shape, kind="noise", ratio=8):
    codec, spec = parse_codec(text), TensorSpec(shape, "BF16")
    rows = values(kind, matrix_shape(spec)).astype(np.float32)
    budget = None if codec.fixed else max(codec.least(spec), spec.nbytes // ratio)
    return codec, spec, rows, budget, codec.encode(rows, Context(Site("w"), spec, budget))


def summed(terms, spec):
    """The matrix that the terms stand for; no terms are zero."""
    return sum((term.rows(0, spec.rows) for term in terms), np.zeros((spec.rows, spec.row_size), np.float32))


@pytest.mark.parametrize("kind", ["noise", "zero", "flat", "sparse", "tiny", "spike"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("text", TEXTS)
def test_contract(text, shape, kind):
    codec, spec, rows, budget, terms = made(text, shape, kind)
    for term in terms:
        fields, payload = term.save()
        assert term.spec == spec
        assert len(payload) == term.nbytes
        assert callable(getattr(term, "bits", len))  # a term's `bits` gives tuned bytes, and is nothing else
        assert json.loads(json.dumps(fields)) == fields
        loaded = TERMS.factory(term.kind).load(fields, memoryview(payload), spec)
        assert np.array_equal(loaded.rows(0, spec.rows), term.rows(0, spec.rows))
    if "keep" not in text and not (codec.name == "sign" and kind == "sparse"):
        assert sum(term.nbytes for term in terms) <= codec.nbytes(spec, budget)
        assert budget is None or codec.nbytes(spec, budget) <= budget
    whole = summed(terms, spec)
    assert whole.shape == (spec.rows, spec.row_size)
    assert np.isfinite(whole).all()
    if kind == "zero":
        assert not whole.any()
    got, want = whole.astype(np.float64).reshape(rows.shape), rows.astype(np.float64)
    if codec.name != "dare":  # unbiased, and for that worse than leaving the delta out, which no other codec is
        assert ((got - want) ** 2).sum() <= (want**2).sum() * (1 + 1e-3)


@pytest.mark.parametrize("text", TEXTS)
def test_matmul_is_the_materialised_matrix(text):
    *_, terms = made(text, (130, 40))
    identity = np.eye(40, dtype=np.float32)
    for term in terms:
        assert np.allclose(term.matmul(identity), term.rows(0, 130).T, atol=1e-6)
        assert np.allclose(term.gather([129, 0]), term.rows(0, 130)[[129, 0]], atol=1e-6)


@pytest.mark.parametrize("text", TEXTS)
def test_the_same_numbers_give_the_same_bytes(text):
    first, second = ([term.save() for term in made(text, (63, 63))[-1]] for _ in range(2))
    assert first == second


@pytest.mark.parametrize("text", TEXTS)
def test_a_codec_is_its_text(text):
    codec = parse_codec(text)
    assert dataclasses.is_dataclass(codec)
    assert parse_codec(CODECS.spell(codec, codec.name)) == codec
    json.dumps(dataclasses.asdict(codec))
    assert CODECS.summary(codec.name)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("text", TEXTS)
def test_the_least_works(text, shape):
    codec, spec = parse_codec(text), TensorSpec(shape, "BF16")
    assert codec.nbytes(spec, codec.least(spec)) == codec.least(spec)
    assert codec.nbytes(spec, 0) == codec.least(spec)


@pytest.mark.parametrize("text", ["svd_mixed", "lowrank", "group_quant", "dare", "sign_lowrank"])
def test_a_codec_that_follows_a_budget_needs_one(text):
    with pytest.raises(RecipeError, match=f"{text} needs a size"):
        parse_codec(text).nbytes(TensorSpec((8, 8), "BF16"), None)


def test_a_misspelt_codec_is_an_error_with_a_suggestion():
    with pytest.raises(RecipeError) as wrong:
        parse_codec("svd_mixd")
    assert "svd_mixed" in wrong.value.remedy
    with pytest.raises(RecipeError, match="no parameter 'bits'"):
        parse_codec("sign(bits=1)")


@pytest.mark.parametrize(
    "text", ["lowrank(rank=2.5)", "lowrank(rank='4')", "svd_mixed(rounds=1.5)", "svd_mixed(bands=3)"]
)
def test_parameters_of_another_type_are_refused_by_name(text):
    with pytest.raises(RecipeError, match=r"codec '\w+': \w+: "):
        parse_codec(text)
