"""Iso-CTS against the paper's algorithm 2, with full SVDs in float64."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

from deltakit.errors import RecipeError
from deltakit.merge import METHODS
from support.matrices import agree, flat_svd, whitened


def combine(taus: list[torch.Tensor], common: float) -> torch.Tensor:
    u, s, v = flat_svd(torch.stack(taus).sum(dim=0))
    own = min(round((len(s) - int(common * len(s))) / len(taus)), len(s) // len(taus))
    c = len(s) - own * len(taus)
    sides, lengths = ([u[:, :c]], [v[:, :c]]), [s[:c]]
    for tau in taus:
        ut, st, vt = flat_svd(tau - u[:, :c] @ u[:, :c].T @ tau)
        sides[0].append(ut[:, :own])
        sides[1].append(vt[:, :own])
        lengths.append(st[:own])
    left, right = (torch.cat(side, dim=1) for side in sides)
    return float(torch.cat(lengths).mean()) * whitened(left) @ whitened(right).T


@pytest.mark.parametrize("common", [0.0, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_agrees_with_the_paper(tmp_path: Path, count: int, common: float) -> None:
    agree(tmp_path, "iso_cts", partial(combine, common=common), count, common=common)


def test_the_common_share_is_a_share() -> None:
    with pytest.raises(RecipeError, match="common"):
        METHODS.make("iso_cts", common=1.5)
