"""Embeddings and heads of tenants. Run: pytest tests/tenants/test_vocabulary.py"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from deltakit.errors import MismatchError
from deltakit.runtime.places import Place
from deltakit.tenants.modules import aware
from deltakit.tenants.rows import Assignment, Now
from deltakit.tenants.share import Piece, Share, Vocabulary
from deltakit.tenants.table import Table
from deltakit.tenants.terms import Differences
from deltakit.tenants.vocabulary import TenantEmbedding, TenantHead, cut_logits

V, D = 6, 4
CHANGE = np.random.default_rng(0).standard_normal((V, D)).astype(np.float32)
ADDED = torch.randn(2, D, generator=torch.Generator().manual_seed(0))


def share(shared: int = V, added: torch.Tensor | None = None, source: torch.Tensor | None = None) -> Share:
    place = Place("w", (np.arange(V), np.arange(D)), (0, 1), True)
    held = Differences(CHANGE[:shared], (shared, D), torch.float32, "cpu")
    made = Share()
    made.add("weight", [Piece(0.5, held, place, outs=slice(0, shared) if shared < V else None)])
    return made.with_vocabulary(Vocabulary(shared, source, added)) if added is not None or shared < V else made


def wrapped(module: nn.Module, kind: type, **shares: Share) -> Table:
    table = Table("m", Now(), "rows", shares)
    table.changed()
    aware(module, kind, table)
    return table


class Scaled(nn.Embedding):
    """As Gemma has it."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return super().forward(ids) * 3


@pytest.mark.parametrize("kind", [nn.Embedding, Scaled])
@torch.no_grad()
def test_rows_are_looked_up_in_the_tenants_own(kind: type[nn.Embedding]) -> None:
    module = kind(V, D, padding_idx=0)
    table = wrapped(module, TenantEmbedding, a=share(), b=share(added=ADDED))
    table.now.rows = Assignment(["b", None, "a"])
    found = module(torch.tensor([[7, 0, 2], [1, 2, 3], [5, 5, 0]])) / (3 if kind is Scaled else 1)
    own = module.weight + 0.5 * torch.from_numpy(CHANGE)
    torch.testing.assert_close(found[0], torch.stack([ADDED[1], own[0], own[2]]))
    torch.testing.assert_close(found[1], module.weight[[1, 2, 3]])
    torch.testing.assert_close(found[2], own[[5, 5, 0]])


def test_a_token_that_the_tenant_does_not_know_is_an_error() -> None:
    module = nn.Embedding(V, D)
    table = wrapped(module, TenantEmbedding, a=share(shared=4))
    table.now.rows = Assignment(["a"])
    with pytest.raises(MismatchError, match="token 5 is beyond the tenant's vocabulary of 4"):
        module(torch.tensor([[1, 5]]))


@pytest.mark.parametrize("bias", [False, True])
@torch.no_grad()
def test_logits_are_as_wide_as_the_widest_and_each_rows_own(bias: bool) -> None:
    module, other = nn.Linear(D, V, bias=bias), torch.randn(V, D)
    shares = {
        "plain": share(),
        "wide": share(added=ADDED),
        "narrow": share(shared=4),
        "apart": Share().with_vocabulary(Vocabulary(0, None, torch.randn(7, D))),
        "tied": Share().with_vocabulary(Vocabulary(V, other)),
    }
    if bias:
        shares["wide"].own["bias"] = torch.arange(8.0)
        shares["apart"].own["bias"] = torch.arange(7.0)
    table = wrapped(module, TenantHead, **shares)
    names = [None, *shares]
    table.now.rows = Assignment(names)
    x = torch.randn(len(names), 3, D)
    found = cut_logits(module(x), table.now.rows, {"plain": V, "wide": 8, "narrow": 4, "apart": 7, "tied": V}, V)
    own, base = module.weight + 0.5 * torch.from_numpy(CHANGE), module.bias if bias else torch.zeros(V)
    assert found.shape == (len(names), 3, 8)
    apart = shares["apart"].vocabulary
    assert apart is not None
    assert apart.added is not None
    wants = {
        None: x[0] @ module.weight.T + base,
        "plain": x[1] @ own.T + base,
        "wide": x[2] @ torch.cat([own, ADDED]).T + (torch.arange(8.0) if bias else 0),
        "narrow": x[3] @ own[:4].T + base[:4],
        "apart": x[4] @ apart.added.T + (torch.arange(7.0) if bias else 0),
        "tied": x[5] @ other.T + base,
    }
    for row, name in enumerate(names):
        want = wants[name]
        torch.testing.assert_close(found[row, :, : want.shape[-1]], want, rtol=1e-5, atol=1e-5)
        assert bool((found[row, :, want.shape[-1] :] == float("-inf")).all())


def test_logits_of_one_width_are_left_alone() -> None:
    logits = torch.zeros(2, 3, V)
    assert cut_logits(logits, Assignment([None, "a"]), {"a": V}, V) is logits
