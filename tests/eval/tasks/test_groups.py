from __future__ import annotations

from typing import Any

import pytest

from deltakit_eval.tasks.groups import by_group


def row(group: str, right: float, name: str = "marked") -> dict[str, Any]:
    return {"doc": {"group": group}, "filter": name, "exact_match": right}


def test_each_group_has_its_own_mean_of_the_headline() -> None:
    rows = [row("b", 1.0), row("a", 1.0), row("a", 0.0), row("a", 0.0), row("a", 1.0, "last_number")]
    found = by_group(rows, "exact_match,marked")
    assert list(found) == ["a", "b"]
    assert found["b"] == {"accuracy": 1.0, "stderr": None, "n": 1}
    assert found["a"]["accuracy"] == pytest.approx(1 / 3)
    assert found["a"]["stderr"] == pytest.approx((1 / 3 * 2 / 3 / 2) ** 0.5)
    assert by_group(rows, "exact_match,last_number")["a"]["n"] == 1


def test_items_without_a_group_make_none() -> None:
    assert by_group([row("", 1.0), {"doc": {}, "filter": "marked", "exact_match": 1.0}], "exact_match,marked") == {}
