"""`deltakit merge --auto`: lambda chosen by tasks, the winner written with its recipe, the sweep beside it."""

import json
from pathlib import Path

import pytest

from deltakit.merge.plan.recipe import merge_recipe
from deltakit.pipeline.sweep import auto
from deltakit.recipe import load_recipe
from support.cli import call
from support.sweeps import family


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return family(tmp_path_factory.mktemp("auto"))


def words(models: Path, *more: object) -> list[object]:
    pair = ["--base", models / "base", "--model", f"{models}/math:0.8", "--model", f"chat={models}/chat"]
    return ["merge", "--auto", *pair, *more]


def test_the_winner_is_a_model_with_its_recipe(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "_LAMBDA", [0.5, 1.0])
    given = words(models, "--tasks", "toy_math,toy_chat", "--limit", "1", "-o", tmp_path / "out")
    done = call(*given, "--format", "json")
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "out.sweep.json").read_bytes())
    recipe = load_recipe(tmp_path / "out" / "merge.yaml", merge_recipe())
    assert recipe.lambda_ == found["winner"]["settings"]["lambda"]
    assert [item.weight for item in recipe.models] == [0.8, 1.0]
    assert "Chosen among 2 candidates by a sweep of lambda" in (tmp_path / "out" / "README.md").read_text()
    assert (done.json["written"], done.json["output"]) == (str(tmp_path / "out"), str(tmp_path / "out.sweep.json"))
    again = call(*given, "--overwrite", "--format", "json")
    assert again.code == 0, again.err
    assert {**again.json, "plan": ""} == {**done.json, "plan": ""}


def test_a_dry_run_lists_what_would_be_tried(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    lambdas = call(*words(models, "--tasks", "toy_math", "--limit", "2", "-o", out, "--dry-run", "--format", "json"))
    assert lambdas.code == 0, lambdas.err
    assert len(lambdas.json["candidates"]) == 12
    more = ("--search", "weights", "--dry-run", "--format", "json")
    assert len(call(*words(models, "--tasks", "toy_math", "-o", out, *more)).json["candidates"]) == 25
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused(models: Path, tmp_path: Path) -> None:
    done = call(*words(models, "-o", tmp_path / "out"))
    assert (done.code, "add --tasks" in done.err) == (2, True)
    plain = [w for w in words(models, "--tasks", "toy_math", "-o", tmp_path / "out") if w != "--auto"]
    done = call(*plain)
    assert (done.code, "--tasks is for --auto" in done.err) == (2, True)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    done = call(*words(models, "--tasks", "toy_math", "-o", tmp_path / "out"))
    assert (done.code, "is not empty" in done.err) == (3, True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]
