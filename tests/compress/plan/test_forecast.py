"""What a plan is expected to give. Run: pytest tests/compress/plan/test_forecast.py"""

from __future__ import annotations

import pytest

from deltakit.compress.plan.forecast import Forecast, by_codec, described, total_error

FOUND = {
    "a": Forecast("sign", 100, 1.0, 4.0),
    "b": Forecast("lowrank", 50, 0.5, 1.0),
    "c": Forecast("sign", 10, 0.0, 5.0),
    "still": Forecast("lowrank", 1, 0.0, 0.0),
}


def test_relative_errors_are_over_energy():
    assert FOUND["a"].relative == 0.25
    assert FOUND["still"].relative == 0.0
    assert total_error(FOUND) == pytest.approx(1.5 / 10)
    assert total_error({}) == 0.0


def test_the_table_by_codec_adds_up():
    rows = {row["codec"]: row for row in by_codec(FOUND)}
    assert list(rows) == ["lowrank", "sign"]
    assert rows["sign"] == {
        "codec": "sign", "matrices": 2, "bytes": 110, "energy": pytest.approx(0.9),
        "relative_error": pytest.approx(1 / 9),
    }  # fmt: skip
    assert rows["lowrank"]["relative_error"] == pytest.approx(0.5)


def test_it_is_json():
    import json

    found = json.loads(json.dumps(described(FOUND)))
    assert found["tensors"]["a"] == {
        "codec": "sign",
        "nbytes": 100,
        "error": 1.0,
        "energy": 4.0,
        "relative_error": 0.25,
    }
    assert found["relative_error"] == total_error(FOUND)
    assert described({}) == {}
