"""Groups of models in a narrow dtype, for reducers that are rounded step by step, and torch's own way as the oracle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from deltakit.merge.compute.arithmetic import Arithmetic
from deltakit.merge.method import Group
from support.flows import collect, flow
from support.merging import Arrays, draw, rounded, tune

TORCH = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}


def drawn(count: int, dtype: str, size: float = 0.6) -> tuple[Arrays, list[Arrays]]:
    """(base, models) in a dtype."""
    base = draw(0, dtype)
    return base, [tune(base, 20 + i, dtype, size) for i in range(count)]


def grouped(
    base: Mapping[str, Any], models: Sequence[Mapping[str, Any]], dtype: str, based: bool, weights: Sequence[float] = ()
) -> Group:
    """As a merge hands them to a reducer: deltas rounded to the dtype."""
    deltas = [rounded({n: m[n] - base[n] for n in base}, dtype) for m in models]
    flows = tuple(flow(d) for d in deltas)
    pulls = tuple(flow(m).pull for m in models)
    given = tuple(weights) or (1.0,) * len(models)
    return Group(flows, given, flow(base).pull, 1.0, pulls, Arithmetic(dtype), based)


def tensors(arrays: Mapping[str, Any], dtype: str) -> dict[str, torch.Tensor]:
    return {n: torch.from_numpy(np.array(a, np.float32)).to(TORCH[dtype]) for n, a in arrays.items()}


def merged(reducer: Any, group: Group) -> Arrays:
    """The models made, pulled in small ranges."""
    assert reducer.whole
    return collect(reducer.over(group), max_bytes=60)


def same(made: Mapping[str, Any], want: Mapping[str, torch.Tensor], dtype: str) -> None:
    """Bit for bit behind a narrow dtype; in float32 but for the order of sums."""
    for name in made:
        there = want[name].float().numpy()
        if dtype == "F32":
            assert np.allclose(made[name], there, rtol=1e-4, atol=1e-6), name
        else:
            assert np.array_equal(made[name], there), name
