"""Deltas of a known low-rank share, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.difference import difference
from deltakit.delta.expression import Delta
from support.tensors import memory, normal, tensor

__all__ = ["DECAY", "delta_of", "shared_delta"]

Float32 = NDArray[np.float32]
DECAY: Mapping[float, float] = {0.9: 1.0, 0.7: 0.7, 0.4: 0.5}  # share of the energy -> exponent of its power law


def shared_delta(shape: tuple[int, int], share: float, seed: int = 0, size: float = 1e-2) -> Float32:
    """A matrix with root mean square `size`; `share` of its energy follows a power law, the rest is flat."""
    rng = np.random.default_rng(seed)
    flat = rng.standard_normal(shape)
    flat /= np.linalg.norm(flat)
    if share:
        k = min(shape)
        u, v = (np.linalg.qr(rng.standard_normal((n, k)))[0] for n in shape)
        low = (u * np.arange(1, k + 1) ** -DECAY[share]) @ v.T
        flat = np.sqrt(share) * low / np.linalg.norm(low) + np.sqrt(1 - share) * flat
    return (flat * size * np.sqrt(flat.size)).astype(np.float32)


def delta_of(parts: Sequence[Float32], dtype: str = "F32") -> Delta:
    """A delta of the matrices w00, w01, ... over a random base."""
    base = {f"w{i:02}.weight": normal(part.shape, 100 + i, 0.02) for i, part in enumerate(parts)}
    tuned = {name: base[name] + part for name, part in zip(base, parts, strict=True)}
    return difference(*(memory({n: tensor(v, dtype) for n, v in model.items()}) for model in (base, tuned)))
