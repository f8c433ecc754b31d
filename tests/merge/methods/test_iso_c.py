"""Iso-C against the paper's section 4.1, with full SVDs in float64."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from support.matrices import agree, flat_svd


def combine(taus: list[torch.Tensor]) -> torch.Tensor:
    u, s, v = flat_svd(torch.stack(taus).sum(dim=0))
    return u @ torch.diag(torch.full_like(s, float(s.mean()))) @ v.T


@pytest.mark.parametrize("given", [{}, {"embeddings": True}])
@pytest.mark.parametrize("count", [1, 3])
def test_agrees_with_the_paper(tmp_path: Path, count: int, given: dict[str, bool]) -> None:
    agree(tmp_path, "iso_c", combine, count, **given)
