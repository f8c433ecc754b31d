"""The published Delta-CoMe. Run: pytest tests/compress/codecs/test_delta_come.py"""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.compress.codec import Context
from deltakit.compress.codecs.delta_come import DeltaCome, published_rank
from deltakit.compress.codecs.svd_mixed import SvdMixed
from deltakit.compress.hessian import Hessian
from deltakit.delta.site import Site
from deltakit.delta.terms.minmax import minmax_bytes
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec
from support.inputs import moments


def encode(codec, rows, budget=None, hessian=None):
    return codec.encode(rows, Context(Site("w"), TensorSpec(rows.shape, "BF16"), budget, hessian))[0]


def delta(n=96, seed=0):
    rng = np.random.default_rng(seed)
    u, v = (np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(2))
    return ((u / np.arange(1, n + 1.0)) @ v.T).astype(np.float32)


def test_the_published_storage_arithmetic():
    """968 two-bit ranks for 4096 x 4096 at one sixteenth; 1436 for 4096 x 11008 (they round it to 1428)."""
    assert published_rank((4096, 4096), 1) == 968
    assert int(published_rank((4096, 11008), 1)) == 1436


def test_its_true_size_is_more_than_a_sixteenth():
    """Llama-2-7B at the published bands: 1.076 bits per parameter with scales, zeros and singular values."""
    attention, mlp = [((4096, 4096), 968)] * 4, [((11008, 4096), 1428)] * 2 + [((4096, 11008), 1428)]
    stored = sum(minmax_bytes(shape, ((8, 2), (3, 32), (2, r2)), 128) for shape, r2 in attention + mlp)
    assert 8 * stored / sum(a * b for (a, b), _ in attention + mlp) == pytest.approx(1.0763, abs=1e-4)


def test_bands_fill_the_budget_in_true_bytes():
    spec = TensorSpec((4096, 4096), "BF16")
    codec = DeltaCome()
    bands = codec._bands((4096, 4096), 4096 * 4096 // 8, 4096)
    assert bands[:2] == ((8, 2), (3, 32))
    assert 860 < bands[2][1] < 968
    assert 0 <= 4096 * 4096 // 8 - codec.nbytes(spec, 4096 * 4096 // 8) < 3000


def test_explicit_bands_are_capped_at_the_rank():
    rows = delta(40)
    assert encode(DeltaCome(bands="8:2,3:10,2:20"), rows).bands == ((8, 2), (3, 10), (2, 20))
    assert encode(DeltaCome(bands="8:2,3:32,2:968"), rows).bands == ((8, 2), (3, 32), (2, 6))


@pytest.mark.parametrize("axis", [0, 1])
def test_known_inputs_help_on_either_axis(axis):
    rows, hessian = delta(), Hessian(moments(96), axis, 768)
    known, white = (encode(DeltaCome(), rows, 2304, h) for h in (hessian, None))
    errors = [hessian.error(term.rows(0, 96) - rows) / hessian.error(rows) for term in (known, white)]
    assert errors[0] < 0.85 * errors[1]
    assert known.nbytes <= 2304


def test_the_transposed_matrix_gets_the_transposed_term():
    rows, gram = delta(), moments(96)
    one = encode(DeltaCome(), rows, 2304, Hessian(gram, 1))
    other = encode(DeltaCome(), np.ascontiguousarray(rows.T), 2304, Hessian(gram, 0))
    assert other.turned
    assert np.allclose(one.rows(0, 96), other.rows(0, 96).T, atol=1e-7)


@pytest.mark.parametrize("known", [False, True])
def test_svd_mixed_is_better_at_equal_bytes(known):
    rows, hessian = delta(), Hessian(moments(96), 1) if known else None
    weigh = Hessian(np.eye(96)) if hessian is None else hessian
    errors = [weigh.error(encode(c, rows, 2304, hessian).rows(0, 96) - rows) for c in (SvdMixed(), DeltaCome())]
    assert errors[0] < 0.6 * errors[1]


@pytest.mark.parametrize("bad", [{"bands": "16:2"}, {"group": 0}, {"bands": "x"}])
def test_bad_parameters(bad):
    with pytest.raises(RecipeError):
        DeltaCome(**bad)


def test_it_needs_a_size():
    with pytest.raises(RecipeError, match="needs a size"):
        DeltaCome().nbytes(TensorSpec((8, 8), "BF16"), None)
