"""TSV-M against the paper's algorithm 1, with full SVDs in float64."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from support.matrices import agree, flat_svd, whitened


def combine(taus: list[torch.Tensor]) -> torch.Tensor:
    k = min(taus[0].shape) // len(taus)
    parts = [[f[..., :k] for f in flat_svd(t)] for t in taus]
    u, s, v = (torch.cat(side, dim=-1) for side in zip(*parts, strict=True))
    return whitened(u) @ torch.diag(s) @ whitened(v).T


@pytest.mark.parametrize("given", [{}, {"embeddings": True}])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_agrees_with_the_paper(tmp_path: Path, count: int, given: dict[str, bool]) -> None:
    agree(tmp_path, "tsv_m", combine, count, **given)
