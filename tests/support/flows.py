"""Flows over numpy arrays, for tests of primitives and reducers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from deltakit.sparsify.flow import Flow
from deltakit.tensors import TensorSpec, row_blocks

Array = np.ndarray[Any, np.dtype[np.float32]]


def flow(tensors: Mapping[str, Any], model: str = "m", seed: int = 42) -> Flow:
    """A flow whose tensors are these arrays."""
    arrays = {n: np.asarray(tensors[n], np.float32) for n in sorted(tensors)}

    def pull(name: str, lo: int, hi: int) -> Array:
        rows = arrays[name].reshape(TensorSpec(arrays[name].shape, "F32").rows, -1) if arrays[name].size else None
        width = TensorSpec(arrays[name].shape, "F32").row_size
        return np.zeros((hi - lo, width), np.float32) if rows is None else rows[lo:hi].copy()

    return Flow({n: TensorSpec(a.shape, "F32") for n, a in arrays.items()}, pull, model, seed)


def collect(made: Flow, max_bytes: int = 8 << 20) -> dict[str, Array]:
    """Every tensor of a flow, pulled range by range."""
    found = {}
    for name, spec in made.specs.items():
        parts = [made.pull(name, lo, hi) for lo, hi in row_blocks(spec, max_bytes)]
        assert all(p.dtype == np.float32 for p in parts)
        found[name] = np.concatenate(parts).reshape(spec.shape) if parts else np.zeros(spec.shape, np.float32)
    return found
