"""Programs of kernels over arrays, without models or recipes around them."""

from __future__ import annotations

from typing import Any

import numpy as np

from deltakit.merge.engine.program import Member, Program, Source, Step
from deltakit.tensors import Mapped, TensorSpec, as_bytes, from_float32, to_float32

Array = np.ndarray[Any, np.dtype[np.float32]]


def source(values: Array, dtype: str) -> Source:
    """One tensor "x" of rows of one element."""
    spec = TensorSpec((values.size,), dtype)
    return Source(Mapped({"x": spec}, lambda name, lo, hi: as_bytes(from_float32(values[lo:hi], dtype))), "x")


def program(base: Array, tuned: list[Array], dtype: str = "F32", steps: tuple[Step, ...] = ()) -> Program:
    """Each tuned array against the base, behind the same steps."""
    return Program(source(base, dtype), tuple(Member(((source(t, dtype), 1.0),), steps) for t in tuned))


def family(count: int, models: int = 2, dtype: str = "F32", seed: int = 0) -> tuple[Array, list[Array]]:
    """A base and models near it, as they are once stored."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal(count).astype(np.float32)
    drawn = [base, *(base + 0.1 * rng.standard_normal(count).astype(np.float32) for _ in range(models))]
    stored = [to_float32(from_float32(np.asarray(d, np.float32), dtype), dtype) for d in drawn]
    return stored[0], stored[1:]
