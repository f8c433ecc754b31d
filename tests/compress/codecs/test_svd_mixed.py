"""Mixed-precision SVD. Run: pytest tests/compress/test_svd_mixed.py"""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.compress.codec import Context
from deltakit.compress.codecs.lowrank import Lowrank
from deltakit.compress.codecs.sign import SignCodec
from deltakit.compress.codecs.svd_mixed import SvdMixed
from deltakit.delta.site import Site
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec


def delta(n, share, power, seed=0):
    """A share of energy in a power-law spectrum, the rest Gaussian."""
    rng = np.random.default_rng(seed)
    u, v = (np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(2))
    low, flat = (u * np.arange(1, n + 1.0) ** -power) @ v.T, rng.standard_normal((n, n))
    mixed = np.sqrt(share) * low / np.linalg.norm(low) + np.sqrt(1 - share) * flat / np.linalg.norm(flat)
    return mixed.astype(np.float32)


def error(codec, rows, budget):
    spec = TensorSpec(rows.shape, "BF16")
    term = codec.encode(rows, Context(Site("w"), spec, budget))[0]
    assert codec.fixed or term.nbytes <= budget
    return float(((term.rows(0, len(rows)) - rows) ** 2).sum() / (rows**2).sum())


@pytest.mark.parametrize(
    ("share", "power", "most"), [(0.9, 1.0, 0.105), (0.7, 0.7, 0.29), (0.4, 0.5, 0.46), (0, 0, 0.52)]
)
def test_error_at_one_true_bit_per_parameter(share, power, most):
    """Near the figures of the design at n = 160, all scales counted; steep spectra beat the other codecs."""
    rows = delta(160, share, power)
    mixed = error(SvdMixed(), rows, 3200)
    assert mixed < most
    assert mixed < error(Lowrank(), rows, 3200)
    assert (mixed < error(SignCodec(), rows, None)) == (share > 0.5)


def test_more_rounds_are_no_worse():
    rows = delta(96, 0.7, 0.7)
    errors = [error(SvdMixed(rounds=r), rows, 1152) for r in (1, 2, 3, 6)]
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 0.97 * errors[0]


def test_more_bytes_are_better():
    rows = delta(64, 0.4, 0.5)
    errors = [error(SvdMixed(), rows, 64 * 64 * bits // 8) for bits in (1, 2, 3, 4, 6, 8, 16)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-3


def test_explicit_bands_are_what_is_stored():
    rows = delta(64, 0.7, 0.7)
    spec = TensorSpec((64, 64), "BF16")
    term = SvdMixed(bands="8:2,3:10,2:20").encode(rows, Context(Site("w"), spec))[0]
    assert term.bands == ((8, 2), (3, 10), (2, 20))
    capped = SvdMixed(bands="8:2,3:32,2:968").encode(rows, Context(Site("w"), spec))[0]
    assert capped.bands == ((8, 2), (3, 32), (2, 30))


def test_a_lora_is_coded_at_its_rank_with_the_bytes_that_frees():
    rng = np.random.default_rng(1)
    rows = (rng.standard_normal((128, 4)) @ rng.standard_normal((4, 96))).astype(np.float32)
    spec = TensorSpec((128, 96), "BF16")
    term = SvdMixed().encode(rows, Context(Site("w"), spec, 128 * 96 // 8))[0]
    assert term.bands == ((8, 4),)
    assert ((term.rows(0, 128) - rows) ** 2).sum() / (rows**2).sum() < 1e-3


@pytest.mark.parametrize("bad", [{"bands": "8"}, {"rounds": 0}])
def test_bad_parameters(bad):
    with pytest.raises(RecipeError):
        SvdMixed(**bad)
