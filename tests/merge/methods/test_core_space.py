"""Merging in core space against the paper, with adapters whose factors are known, in float64."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from deltakit.merge import METHODS
from deltakit.merge.method import Group
from support.flows import collect, flow
from support.matrices import flat_svd

RANKS = (3, 4)
SHAPE = (20, 16)


def adapters() -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(B, A) of each task."""
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.randn(SHAPE[0], r, generator=generator), torch.randn(r, SHAPE[1], generator=generator)) for r in RANKS
    ]


def in_core(merge: str) -> torch.Tensor:
    """Reference bases from stacked factors, cores, and their merge, all by full SVDs."""
    pairs = [(b.double(), a.double()) for b, a in adapters()]
    u, _, _ = flat_svd(torch.cat([b for b, _ in pairs], dim=1))
    _, _, v = flat_svd(torch.cat([a for _, a in pairs], dim=0))
    cores = torch.stack([u.T @ b @ a @ v for b, a in pairs])
    if merge == "iso_c":
        left, s, right = flat_svd(cores.sum(dim=0))
        return u @ (s.mean() * left @ right.T) @ v.T
    agree = torch.sign(cores) == torch.sign(cores.sum(dim=0))
    return u @ ((agree * cores).sum(dim=0) / agree.sum(dim=0)) @ v.T


@pytest.mark.parametrize(("merger", "merge"), [("iso_c", "iso_c"), ("ties(density=1.0)", "ties")])
def test_agrees_with_the_paper(merger: str, merge: str) -> None:
    flows = []
    for b, a in adapters():
        made = flow({"layers.0.up.weight": (b @ a).numpy()})
        known = {"layers.0.up.weight": (b.numpy(), np.ascontiguousarray(a.T.numpy()))}
        flows.append(partial(type(made), made.specs, made.pull, "m", 0)(factors=known.get))
    method = METHODS.make("core_space", merger=merger)
    found = collect(method.reduce.over(Group(tuple(flows), (1.0, 1.0), lambda *_: np.zeros((1, 1), np.float32))))
    assert np.allclose(found["layers.0.up.weight"], in_core(merge).numpy(), atol=1e-4)
