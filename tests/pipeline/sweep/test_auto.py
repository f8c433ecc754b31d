"""The sweep that --auto stands for."""

from pathlib import Path
from typing import Any

import pytest

from deltakit.errors import RecipeError
from deltakit.pipeline.sweep.auto import auto_sweep, place_of
from deltakit.pipeline.sweep.recipe import merge_of
from deltakit.pipeline.sweep.space import make_space

MERGE: dict[str, Any] = {"base": "b", "models": [{"model": "m", "weight": 0.5}, {"model": "c"}]}


def test_one_factor_for_all() -> None:
    made = auto_sweep(MERGE, ["gsm8k", "math"], limit=7, data="d")
    assert merge_of(made) == MERGE
    values = [s["lambda"] for s in make_space(MERGE, made.search).grid()]
    assert values == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2]
    assert (made.select.limit, made.test.limit, made.select.data, made.test.data) == (7, 7, "d", "d")
    assert made.select.split != made.test.split
    assert made.tasks == {"gsm8k": 1.0, "math": 1.0}


def test_a_weight_for_each() -> None:
    made = auto_sweep(MERGE, ["gsm8k"], search="weights")
    points = list(make_space(MERGE, made.search).grid())
    assert len(points) == 25
    assert points[0] == {"models.0.weight": 0.2, "models.1.weight": 0.2}


def test_what_is_refused() -> None:
    with pytest.raises(RecipeError, match="--auto chooses by tasks") as wrong:
        auto_sweep(MERGE, [])
    assert "--tasks" in wrong.value.remedy
    with pytest.raises(RecipeError, match="'weight' is no search") as wrong:
        auto_sweep(MERGE, ["gsm8k"], search="weight")
    assert "weights" in wrong.value.remedy
    many = {"base": "b", "models": [{"model": f"m{i}"} for i in range(4)]}
    with pytest.raises(RecipeError, match="weights of 4 models is too large"):
        auto_sweep(many, ["gsm8k"], search="weights")


def test_its_result_lies_beside_the_model() -> None:
    assert place_of(Path("runs/merged")) == Path("runs/merged.sweep.json")
    assert place_of(Path("merged.delta")) == Path("merged.delta.sweep.json")
