"""Rows and their tenants. Run: pytest tests/tenants/test_rows.py"""

from __future__ import annotations

import pytest
import torch

from deltakit.errors import MismatchError
from deltakit.tenants.rows import Assignment, Now

ROWS = Assignment(["b", None, "a", "b"])


def test_groups_keep_the_rows_of_each_tenant_others_first() -> None:
    groups = {name: at.tolist() for name, at in ROWS.groups({"a": 1, "b": 1})}
    assert groups == {None: [1], "b": [0, 3], "a": [2]}
    assert next(iter(ROWS.groups({"a": 1})))[0] is None
    assert {n: at.tolist() for n, at in ROWS.groups({})} == {None: [0, 1, 2, 3]}
    assert [n for n, _ in Assignment(["a"]).groups({"a": 1})] == ["a"]


def test_a_flat_input_is_seen_row_by_row_without_a_copy() -> None:
    x = torch.arange(24.0).reshape(12, 2)
    split = ROWS.split(x, "flat", "gate")
    assert split.shape == (4, 3, 2)
    assert split.data_ptr() == x.data_ptr()
    assert ROWS.split(x[:4], "rows", "gate").shape == (4, 2)


@pytest.mark.parametrize(("shape", "layout"), [((5, 2), "rows"), ((5, 2), "flat"), ((4, 2), ""), ((4, 2), "unseen")])
def test_another_layout_is_refused_with_the_modules_name(shape: tuple[int, int], layout: str) -> None:
    with pytest.raises(MismatchError, match=r"module 'h\.gate' does not see the batch row by row"):
        ROWS.split(torch.zeros(shape), layout, "h.gate")


def test_nothing_is_assigned_at_first() -> None:
    assert Now().rows is None
    assert Now().form == "auto"
