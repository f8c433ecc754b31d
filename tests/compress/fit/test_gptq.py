"""GPTQ on min-max grids. Run: pytest tests/compress/fit/test_gptq.py"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deltakit.compress.fit.gptq import gptq, grids
from support.inputs import moments


def naive(values, gram, bits, group, damp=0.01):
    """Straight from the paper, a row at a time: code the heaviest input that is left, solve for the others anew."""
    weight = gram + damp * np.diag(gram).mean() * np.eye(len(gram))
    scale, zero = grids(values, bits, group)
    out = np.empty_like(values)
    for i, row in enumerate(values):
        left, free = row.copy(), list(np.argsort(-np.diag(weight), kind="stable"))
        while free:
            j = free.pop(0)
            s, z = scale[i, j // group], zero[i, j // group]
            out[i, j] = s * (np.clip(np.round(left[j] / s) + z, 0, (1 << bits) - 1) - z)
            if free:
                error = out[i, j] - left[j]
                left[free] -= np.linalg.solve(weight[np.ix_(free, free)], weight[free, j] * error)
    return out


@pytest.mark.parametrize("bits", [2, 3, 8])
def test_it_is_the_papers_recursion(bits):
    gram, values = moments(20), np.random.default_rng(1).standard_normal((4, 20))
    got = gptq(values, torch.from_numpy(gram), bits, 8).values()
    assert np.allclose(got, naive(values, gram, bits, 8), atol=1e-5)


def test_blocks_change_nothing(monkeypatch):
    gram, values = torch.from_numpy(moments(60)), np.random.default_rng(2).standard_normal((9, 60))
    whole = gptq(values, gram, 2, 16).values()
    monkeypatch.setattr("deltakit.compress.fit.gptq._BLOCK", 7)
    assert np.array_equal(gptq(values, gram, 2, 16).values(), whole)


def test_grids_reach_from_the_least_to_the_most_and_hold_zero():
    scale, zero = grids(np.array([[-1.0, 2.0, 0.5, 4.0, 3.0, 5.0], [0.0] * 6]), 2, 3)
    assert scale[0] == pytest.approx([1.0, 5 / 3], rel=1e-3)
    assert zero[0].tolist() == [1.0, 0.0]
    assert (scale[1] > 0).all()


def test_without_moments_it_is_rounding():
    values = np.random.default_rng(3).standard_normal((5, 40))
    scale, zero = grids(values, 3, 40)
    want = scale * (np.clip(np.round(values / scale) + zero, 0, 7) - zero)
    assert np.allclose(gptq(values, None, 3, 40).values(), want, atol=1e-6)
    assert np.array_equal(gptq(values, torch.eye(40).double(), 3, 40).raw, gptq(values, None, 3, 40).raw)


def test_it_beats_rounding_on_the_outputs_and_leaves_its_arguments_alone():
    gram, values = moments(64), np.random.default_rng(4).standard_normal((30, 64))
    given, before = torch.from_numpy(gram.copy()), values.copy()
    errors = [values - gptq(values, h, 2, 64).values() for h in (given, None)]
    coded, rounded = (float(((e @ gram) * e).sum()) for e in errors)
    assert coded < 0.7 * rounded
    assert np.array_equal(given.numpy(), gram)
    assert np.array_equal(values, before)


def test_dead_inputs_become_zero():
    gram, values = moments(12), np.random.default_rng(5).standard_normal((3, 12))
    gram[4], gram[:, 4] = 0, 0
    assert not gptq(values, torch.from_numpy(gram), 3, 4).values()[:, 4].any()
