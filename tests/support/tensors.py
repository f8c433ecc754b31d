"""Tensor maps in memory, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from deltakit.tensors import Mapped, TensorSpec, from_float32, numpy_bits


def tensor(values: Any, dtype: str = "BF16") -> tuple[TensorSpec, bytes]:
    """Spec and bytes of float values in a dtype."""
    array = np.asarray(values, np.float32)
    return TensorSpec(array.shape, dtype), np.ascontiguousarray(from_float32(array, dtype)).tobytes()


def bits(values: Any, dtype: str) -> tuple[TensorSpec, bytes]:
    """Spec and bytes of raw bit patterns."""
    array = np.asarray(values).astype(numpy_bits(dtype))
    return TensorSpec(array.shape, dtype), array.tobytes()


def memory(tensors: Mapping[str, tuple[TensorSpec, bytes]]) -> Mapped:
    """A TensorMap over bytes in memory."""

    def pull(name: str, lo: int, hi: int) -> memoryview:
        spec, raw = tensors[name]
        stride = spec.row_size * spec.itemsize
        return memoryview(raw)[lo * stride : hi * stride]

    return Mapped({n: tensors[n][0] for n in sorted(tensors)}, pull)


def normal(shape: tuple[int, ...], seed: int, scale: float = 1.0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Seeded normal values."""
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def pair(dtype: str = "BF16", seed: int = 0) -> tuple[Mapped, Mapped]:
    """A base and a fine-tune of it: a matrix, a norm that did not change, an embedding."""
    shapes = {"a.weight": (12, 10), "norm.weight": (10,), "embed.weight": (16, 10)}
    base = {n: normal(s, seed + i) for i, (n, s) in enumerate(sorted(shapes.items()))}
    tuned = {n: v + normal(v.shape, seed + 50 + i, 0.05) for i, (n, v) in enumerate(sorted(base.items()))}
    tuned["norm.weight"] = base["norm.weight"]
    return (
        memory({n: tensor(v, dtype) for n, v in base.items()}),
        memory({n: tensor(v, dtype) for n, v in tuned.items()}),
    )


def whole(source: Any) -> dict[str, bytes]:
    """Every tensor's bytes."""
    return {n: bytes(source.buffer(n)) for n in source.specs}
