"""Models of matrices, vectors and embeddings for the methods that decompose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from support.merging import Arrays, draw, plan, store, tune, values

SHAPES: Mapping[str, tuple[int, ...]] = {
    "embed_tokens.weight": (11, 6),
    "layers.0.down.weight": (9, 14),
    "layers.0.experts.up": (3, 8, 6),
    "layers.0.norm.weight": (6,),
    "layers.0.up.weight": (14, 9),
    "layers.0.conv.weight": (5, 4, 3),
    "layers.0.thin.weight": (1, 9),
    "lm_head.weight": (11, 6),
}
MATRICES = ("layers.0.down.weight", "layers.0.up.weight")
EXPERTS = "layers.0.experts.up"
WEIGHTS = (0.7, 0.4, 1.3)

Combine = Callable[[list[torch.Tensor]], torch.Tensor]


def models(folder: Path, count: int = 3) -> tuple[Arrays, list[Arrays], str, list[dict[str, Any]]]:
    """(base, tuned, base's folder, recipe items with weights)."""
    base = draw(0, shapes=SHAPES)
    tuned = [tune(base, 10 + i) for i in range(count)]
    items = [
        {"model": store(folder / f"m{i}", m), "weight": w}
        for i, (m, w) in enumerate(zip(tuned, WEIGHTS[:count], strict=True))
    ]
    return base, tuned, store(folder / "base", base), items


def deltas(base: Arrays, tuned: Sequence[Arrays], name: str) -> list[torch.Tensor]:
    """w_i * delta_i of a tensor, float64."""
    return [
        w * (torch.from_numpy(m[name]).double() - torch.from_numpy(base[name]).double())
        for m, w in zip(tuned, WEIGHTS[: len(tuned)], strict=True)
    ]


def agree(folder: Path, method: str, combine: Combine, count: int = 3, **given: Any) -> None:
    """The method over models equals `combine` on every matrix and expert, and the mean elsewhere."""
    base, tuned, where, items = models(folder, count)
    made = values(plan(method, where, items, scale=0.9, **given).tensors)
    for name in SHAPES:
        taus = deltas(base, tuned, name)
        if name in MATRICES or (given.get("embeddings") and name in ("embed_tokens.weight", "lm_head.weight")):
            want = combine(taus)
        elif name == EXPERTS:
            want = torch.stack([combine([t[e] for t in taus]) for e in range(len(taus[0]))])
        else:
            want = sum(taus) / len(taus)
        full = torch.from_numpy(base[name]).double() + 0.9 * want
        assert np.allclose(made[name], full.numpy(), rtol=1e-6, atol=2e-6), name


def flat_svd(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """U, S, V of the thin SVD."""
    u, s, vt = torch.linalg.svd(matrix, full_matrices=False)
    return u, s, vt.T


def whitened(columns: torch.Tensor) -> torch.Tensor:
    """P Qᵀ of the SVD P D Qᵀ."""
    p, _, q = flat_svd(columns)
    return p @ q.T
