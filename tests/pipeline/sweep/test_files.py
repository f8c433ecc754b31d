"""The folder of a sweep: the winner's recipe runs, the page shows it, cards are told how it was chosen."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from deltakit.merge.plan.linear import linear_expression
from deltakit.merge.plan.recipe import merge_recipe
from deltakit.pipeline.sweep import files
from deltakit.pipeline.sweep import run as module
from deltakit.pipeline.sweep.files import said_of
from deltakit.pipeline.sweep.run import sweep
from deltakit.recipe import load_recipe
from support.sweeps import Told, family, recipe


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return family(tmp_path_factory.mktemp("family"))


def swept(models: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(module, "evaluate", Told(lambda x, i: float(abs(x - 0.4) < 0.01 * i)))
    return sweep(recipe(models), out)


def test_every_candidate_and_the_winner_are_merge_recipes(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = swept(models, tmp_path / "out", monkeypatch)
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    pages = ["sweep-1.svg", "sweep.html", "sweep.json", "sweep.md", "winner.yaml"]
    assert names == ["candidates", "deltakit.json", "evaluations", *pages]
    assert load_recipe(tmp_path / "out" / "winner.yaml", merge_recipe()).lambda_ == 0.4
    for row in found["candidates"]:
        read = load_recipe(tmp_path / "out" / "candidates" / f"{row['id']}.yaml", merge_recipe())
        assert linear_expression(read) == row["model"]
    page = (tmp_path / "out" / "sweep.md").read_text()
    assert "within noise" in page
    assert "sweep-1.svg" in page


def test_what_a_card_is_told(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = said_of(swept(models, tmp_path / "out.json", monkeypatch))
    assert lines[0] == "Chosen among 3 candidates by a sweep of lambda (grid): lambda=0.4."
    assert "95.0 ± 3.5 % on the train items it was chosen by" in lines[1]
    assert "on the test items, by which nothing was chosen" in lines[1]
    assert "within noise" in lines[2]


def test_a_card_does_not_call_a_test_apart_that_is_not(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "evaluate", Told(lambda x, i: 1.0))
    items = {"split": "test", "seed": 0, "limit": 4}
    found = sweep(recipe(models, select={**items, "same_items": True}, test=items), tmp_path / "out.json")
    lines = said_of(found)
    assert "nothing was chosen" not in "".join(lines)
    assert any(line.startswith("WARNING") and "optimistic" in line for line in lines)


def test_without_libraries_that_draw_the_numbers_are_there(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "find_spec", lambda name: None if name == "matplotlib" else find_spec(name))
    swept(models, tmp_path / "out", monkeypatch)
    assert (tmp_path / "out" / "winner.yaml").is_file()
    assert not (tmp_path / "out" / "sweep.html").exists()
