"""Optuna's sampler: seeded, in rounds, drawn where it scores well; missing, it says how to get it."""

import importlib
import logging
from typing import Any

import pytest

from deltakit.errors import RecipeError, ResourceError
from deltakit.pipeline.sweep.space import Space, make_space
from deltakit.pipeline.sweep.tpe import Optuna

MERGE = {"base": "b", "models": [{"model": "m"}]}


def space(search: dict[str, Any]) -> Space:
    return make_space(MERGE, search)


def test_what_is_drawn_lies_in_its_bounds() -> None:
    wide = {"lambda": {"low": 0.01, "high": 2, "log": True}, "seed": {"low": 1, "high": 5, "integer": True}}
    (asked,) = [Optuna(20, round=20).study(space(wide)).ask()]
    assert len(asked) == 20
    assert all(0.01 <= a["lambda"] <= 2 and a["seed"] in range(1, 6) for a in asked)
    assert all(isinstance(a["seed"], int) for a in asked)
    assert sum(a["lambda"] < 0.15 for a in asked) > 4  # evenly in the logarithm: half


def test_the_seed_decides() -> None:
    drawn = space({"lambda": {"low": 0, "high": 1}})
    assert Optuna(4, seed=1, round=4).study(drawn).ask() == Optuna(4, seed=1, round=4).study(drawn).ask()
    assert Optuna(4, seed=1, round=4).study(drawn).ask() != Optuna(4, seed=2, round=4).study(drawn).ask()


def test_it_draws_where_it_scores_well() -> None:
    study, seen = Optuna(40, seed=3, round=5).study(space({"lambda": {"low": 0, "high": 1}})), []
    while asked := study.ask():
        study.tell([-abs(a["lambda"] - 0.7) for a in asked])
        seen += [a["lambda"] for a in asked]
    assert abs(sum(seen[-10:]) / 10 - 0.7) < abs(sum(seen[:10]) / 10 - 0.7)
    assert min(abs(x - 0.7) for x in seen) < 0.05


def test_it_is_quiet_and_leaves_optunas_voice_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    import optuna

    optuna.logging.set_verbosity(logging.INFO)
    study = Optuna(2, round=2).study(space({"lambda": [1, 2]}))
    study.ask()
    study.tell([0.1, None])
    assert optuna.logging.get_verbosity() == logging.INFO
    assert capsys.readouterr().err == ""


def test_without_optuna_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name)

    made = space({"lambda": [1, 2]})
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ResourceError, match="needs the package optuna") as wrong:
        Optuna().study(made)
    assert "pip install" in wrong.value.remedy


@pytest.mark.parametrize("given", [{"trials": 0}, {"seed": -1}, {"round": 0}, {"startup": 0}])
def test_bad_numbers_are_refused(given: dict[str, int]) -> None:
    (name,) = given
    with pytest.raises(RecipeError, match=f"optuna: {name} is"):
        Optuna(**given)
