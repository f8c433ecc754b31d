"""Operations rounded to a narrow dtype are what torch computes in that dtype."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deltakit.merge.arithmetic import FLOAT32, Arithmetic

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
