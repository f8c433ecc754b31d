"""The compiled search against its numpy form, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.compress.fit import groups
from deltakit.compress.fit.groups import quantise_groups


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [128, 33])
def test_the_codes_and_scales_are_those_of_numpy(
    size: int, bits: int, zero: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(bits)
    x = (rng.standard_t(3, (40, size)) * np.exp2(rng.integers(-120, 100, (40, 1)))).astype(np.float32)
    x[rng.random(x.shape) < 0.2] = 0
    x[:3] = [[0.0], [1e-36], [2.0]]
    x[3] = np.where(np.arange(size) % 2, 1.5, -1.5)
    monkeypatch.setattr(groups, "_LARGE", 1)
    codes, scales = quantise_groups(x, bits, zero)
    monkeypatch.setattr(groups, "_LARGE", 1 << 60)
    want, theirs = quantise_groups(x, bits, zero)
    np.testing.assert_array_equal(scales, theirs)
    np.testing.assert_array_equal(codes, want)
