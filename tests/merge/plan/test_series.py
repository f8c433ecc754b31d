"""Many checkpoints of one run as one entry."""

import numpy as np
import pytest

from deltakit.errors import InputError
from deltakit.merge.plan.native import plan_recipe
from deltakit.merge.plan.series import expanded, natural, series_of
from support.merging import draw, recipe, store, tune, values


@pytest.fixture
def run(tmp_path):
    base = draw(0)
    models = {i: tune(base, i) for i in (9, 10, 100)}
    for i, model in models.items():
        store(tmp_path / f"checkpoint-{i}", model)
    return tmp_path, models


def test_numbers_are_sorted_by_their_value(run):
    folder, _ = run
    found = series_of(f"{folder}/checkpoint-*")
    assert found == tuple(f"{folder}/checkpoint-{i}" for i in (9, 10, 100))
    assert sorted(["b2", "a10", "a9", "10", "2"], key=natural) == ["2", "10", "a9", "a10", "b2"]


def test_what_has_no_wildcard_or_exists_stands_for_itself(tmp_path):
    assert series_of("org/model") == ("org/model",)
    assert series_of("a + 0.5 * b") == ("a + 0.5 * b",)
    (tmp_path / "odd[1]").mkdir()
    assert series_of(str(tmp_path / "odd[1]")) == (str(tmp_path / "odd[1]"),)


def test_each_has_the_entrys_weight_and_parameters(run):
    folder, _ = run
    items = [{"model": f"{folder}/checkpoint-?", "name": "run", "weight": 2.0, "density": 0.3}, {"model": "other"}]
    made = expanded(recipe("dare_linear", "base", items, density=0.5)).models
    assert [(m.model.rsplit("/", 1)[-1], m.name, m.weight) for m in made] == [
        ("checkpoint-9", "run/checkpoint-9", 2.0),
        ("other", "", 1.0),
    ]
    assert made[0].density == 0.3
    plain = recipe("linear", None, ["a", "b"])
    assert expanded(plain) is plain


def test_their_average(run):
    folder, models = run
    made = values(plan_recipe(recipe("linear", None, [f"{folder}/checkpoint-*"])).tensors)
    for name, some in made.items():
        assert np.allclose(some, np.mean([m[name] for m in models.values()], axis=0), atol=1e-6)


def test_nothing_matches(tmp_path):
    with pytest.raises(InputError, match="no path matches"):
        expanded(recipe("linear", None, [f"{tmp_path}/checkpoint-*"]))
