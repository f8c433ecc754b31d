"""Operations rounded to a narrow dtype are what torch computes in that dtype."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deltakit.merge.compute.arithmetic import FLOAT32, Arithmetic, fused_multiply_add

KINDS = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}


def draws(dtype: str, count: int = 2) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [Arithmetic(dtype).round(rng.standard_normal((63, 7)).astype(np.float32)) for _ in range(count)]


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div"])
@pytest.mark.parametrize("dtype", KINDS)
def test_operations_equal_torch_bit_for_bit(name: str, dtype: str) -> None:
    a, b = draws(dtype)
    ours = getattr(Arithmetic(dtype), name)(a, b)
    theirs = getattr(torch, name)(torch.from_numpy(a).to(KINDS[dtype]), torch.from_numpy(b).to(KINDS[dtype]))
    assert np.array_equal(ours, theirs.float().numpy())


@pytest.mark.parametrize("dtype", KINDS)
def test_a_sum_is_rounded_once(dtype: str) -> None:
    values = draws(dtype, 4)
    theirs = torch.stack([torch.from_numpy(v).to(KINDS[dtype]) for v in values]).sum(dim=0)
    assert np.array_equal(Arithmetic(dtype).sum(values), theirs.float().numpy())


def test_float32_rounds_nothing_away() -> None:
    values = draws("F32")[0]
    assert FLOAT32.round(values) is values


def test_scalars_are_rounded_too() -> None:
    assert float(Arithmetic("BF16").round(0.3)) == 0.30078125


@pytest.mark.parametrize("kind", ["spread", "cancelling", "coarse"])
def test_a_fused_multiply_add_equals_torch_bit_for_bit(kind: str) -> None:
    rng = np.random.default_rng(0)
    a = (rng.standard_normal(50000) * 10.0 ** rng.uniform(-4, 4, 50000)).astype(np.float32)
    c = (rng.standard_normal(50000) * 10.0 ** rng.uniform(-4, 4, 50000)).astype(np.float32)
    weight = np.float32(0.7)
    if kind == "cancelling":
        c = (-(a * weight) + rng.standard_normal(50000) * 1e-6).astype(np.float32)
    if kind == "coarse":
        a, c = np.round(a * 64) / np.float32(64), np.round(c * 64) / np.float32(64)
    want = torch.add(torch.from_numpy(c), torch.from_numpy(a), alpha=float(weight)).numpy()
    assert np.array_equal(fused_multiply_add(a, weight, c), want)


def test_a_fused_multiply_add_rounds_once() -> None:
    """The product's error decides here, which two roundings lose."""
    a, c = np.float32(1 + 2**-23), np.float32(-(1 + 2**-22))
    assert float(a * a + c) == 0.0
    assert float(fused_multiply_add(a, a, c)) == 2**-46
