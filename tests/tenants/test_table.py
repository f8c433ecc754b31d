"""All forms of adding changes agree with the obvious one. Run: pytest tests/tenants/test_table.py"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deltakit.runtime.places import Place
from deltakit.tenants.rows import Assignment, Now
from deltakit.tenants.share import Piece, Share
from deltakit.tenants.table import Table
from deltakit.tenants.terms import Differences, Factors
from tenants.test_stack import IN, OUT, term

PLACE = Place("w", (np.arange(OUT), np.arange(IN)), (0, 1), True)


def made(form: str, layout: str = "rows") -> tuple[Table, dict[str, torch.Tensor]]:
    """Two low-rank terms, one dense one, a part of the outputs, a bias; and each tenant's whole change."""
    low = [Factors(term(r, r), torch.float32, "cpu") for r in (2, 3)]
    rng = np.random.default_rng(0)
    full = Differences(rng.standard_normal((OUT, IN)).astype(np.float32), (OUT, IN), torch.float32, "cpu")
    part = Differences(rng.standard_normal((3, IN)).astype(np.float32), (3, IN), torch.float32, "cpu")
    shares = {n: Share() for n in "abc"}
    shares["a"].add("weight", [Piece(1.0, low[0], PLACE), Piece(-0.5, low[1], PLACE)])
    shares["b"].add("weight", [Piece(2.0, low[1], PLACE), Piece(1.0, full, PLACE)])
    shares["c"].add("weight", [Piece(1.0, part, PLACE, outs=slice(2, 5))])
    shares["c"].own["bias"] = torch.arange(float(OUT))
    placed = torch.zeros(OUT, IN)
    placed[2:5] = part.dense()
    whole = {"a": low[0].dense() - 0.5 * low[1].dense(), "b": 2 * low[1].dense() + full.dense(), "c": placed}
    whole = {n: w.clone() for n, w in whole.items()}
    now = Now()
    now.form = form
    table = Table("m", now, layout, shares)
    table.changed()
    return table, whole


@pytest.mark.parametrize("form", ["auto", "terms", "rows"])
@pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 40), (5, 2, 2)])
@torch.no_grad()
def test_every_row_gets_its_tenants_change(form: str, shape: tuple[int, ...]) -> None:
    table, whole = made(form)
    names = ["b", None, "a", "c", "b"]
    table.now.rows = Assignment(names)
    x = torch.randn(*shape, IN, generator=torch.Generator().manual_seed(1))
    y, bias = torch.zeros(*shape, OUT), torch.ones(OUT)
    table.add(y, x, bias)
    for i, name in enumerate(names):
        want = torch.zeros(*shape[1:], OUT) if name is None else x[i] @ whole[name].T
        want = want + (torch.arange(float(OUT)) - 1 if name == "c" else 0)
        torch.testing.assert_close(y[i], want, rtol=1e-5, atol=1e-5)


def test_nothing_happens_without_tenants() -> None:
    table, _ = made("auto")
    y = torch.zeros(2, OUT)
    table.add(y, torch.ones(2, IN), None)
    for names in ([None, None], ["stranger", None]):
        table.now.rows = Assignment(names)
        table.add(y, torch.ones(2, IN), None)
    assert not y.any()


def test_a_flat_input_counts_by_rows() -> None:
    table, whole = made("auto", "flat")
    table.now.rows = Assignment(["a", "b"])
    x, y = torch.randn(6, IN), torch.zeros(6, OUT)
    table.add(y, x, None)
    torch.testing.assert_close(y[3:], x[3:] @ whole["b"].T, rtol=1e-5, atol=1e-5)


def test_plans_follow_what_changed() -> None:
    table, _ = made("auto")
    table.now.rows = Assignment(["a", "b"])
    x, y = torch.ones(2, IN), torch.zeros(2, OUT)
    table.add(y, x, None)
    del table.shares["a"]
    table.changed()
    after = torch.zeros(2, OUT)
    table.add(after, x, None)
    assert not after[0].any()
    torch.testing.assert_close(after[1], y[1])


def test_scales_get_their_gradients_through_the_product() -> None:
    table, _ = made("auto")
    trained = table.shares["a"].weight[0].term.scales
    assert trained is not None
    trained.requires_grad_(True)
    table.now.rows = Assignment(["a", "b"])
    y = torch.zeros(2, OUT) * 1.0
    table.add(y, torch.ones(2, IN), None)
    y.sum().backward()
    assert trained.grad is not None
    assert bool((trained.grad != 0).any())
