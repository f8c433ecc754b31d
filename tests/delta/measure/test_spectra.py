"""Spectra of the matrices that changed most."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.delta.difference import difference
from deltakit.delta.measure.spectra import Spectrum, spectra
from deltakit.delta.measure.statistics import delta_statistics
from support.merging import draw, store

SHAPES = {"a.weight": (12, 9), "b.weight": (12, 9), "c.weight": (12, 9), "norm.weight": (9,)}


def test_low_rank_is_seen(tmp_path: Path) -> None:
    base = draw(0, shapes=SHAPES)
    rng = np.random.default_rng(1)
    low = rng.standard_normal((12, 2)) @ rng.standard_normal((2, 9))
    tuned = {**base, "a.weight": base["a.weight"] + np.float32(0.1) * low.astype(np.float32)}
    tuned["norm.weight"] = base["norm.weight"] + 5
    tuned["b.weight"] = base["b.weight"] + np.float32(0.01)
    first, second = (open_checkpoint(store(tmp_path / n, m)) for n, m in (("base", base), ("tuned", tuned)))
    delta = difference(first, second)
    found = spectra(delta, delta_statistics(first, delta), 3)
    assert [s.name for s in found] == ["a.weight", "b.weight"]  # c did not change; a norm is no matrix
    want = np.linalg.svd((tuned["a.weight"] - base["a.weight"]).astype(np.float64), compute_uv=False)
    assert np.allclose(found[0].values, want, atol=1e-6)
    assert found[0].rank_at(0.999) == 2
    assert found[0].effective_rank < 2.1
    assert found[1].effective_rank == pytest.approx(1.0, abs=0.01)
    assert found[0].as_dict()["rank_at_99"] <= 2


def test_effective_rank_of_equal_values_is_their_number() -> None:
    assert Spectrum("x", np.ones(7, np.float32)).effective_rank == pytest.approx(7)
    nothing = Spectrum("x", np.zeros(3, np.float32))
    assert (nothing.effective_rank, nothing.rank_at(0.9)) == (0.0, 0)
