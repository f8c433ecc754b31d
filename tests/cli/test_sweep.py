"""`deltakit sweep`: dry run, a whole small sweep, the shipped recipes, and what is refused."""

import json
import shlex
import shutil
from pathlib import Path

import pytest

from deltakit_cli.catalogue import recipes_folder
from support.cli import call
from support.sweeps import family

RECIPES = sorted((recipes_folder() / "sweep").glob("*.yaml"))
SMALL = ("select.limit=2", "test.limit=2", "settings.max_new_tokens=2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sweep")
    family(place / "models")
    return place


def small(*more: str) -> list[str]:
    return [word for text in (*SMALL, *more) for word in ("--set", text)]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda p: p.stem)
def test_the_shipped_recipes_run_as_they_say(
    recipe: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = recipe.read_text().splitlines()[0]
    assert first == f"# deltakit sweep recipes/sweep/{recipe.name} -o sweep"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").symlink_to(folder / "models")
    fewer = (
        ["sampler=optuna(trials=3, round=2)"] if "optuna(" in recipe.read_text().partition("sampler: ")[2][:7] else []
    )
    done = call("sweep", recipe, "-o", "sweep", *small(*fewer))
    assert done.code == 0, done.err
    assert "on the test" in done.out
    assert "within noise of the winner" in done.out
    assert json.loads((tmp_path / "sweep" / "sweep.json").read_bytes())["action"] == "sweep"
    merged = call("merge", "sweep/winner.yaml", "-o", "merged")
    assert merged.code == 0, merged.err


def test_a_dry_run_lists_candidates_and_answers_and_writes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(folder)
    out = tmp_path / "out"
    words = ["sweep", RECIPES[0], "-o", out, "--dry-run", *small("search={lambda: [0.5, 1.0]}", "sampler=grid")]
    done = call(*words)
    assert done.code == 0, done.err
    assert "models/base + 0.5*models/math + 0.5*models/chat" in done.out
    assert "2 models, 20 answers" in done.out  # 2 x 4, then winner, base and merge as it stands on 4 items each
    shown = call(*words, "--format", "json").json
    assert [c["settings"] for c in shown["candidates"]] == [{"lambda": 0.5}, {"lambda": 1.0}]
    assert not out.exists()


def test_the_winner_is_written_too(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(folder)
    grid = small("search={lambda: [0.5, 1.0]}", "sampler=grid", "tasks=[toy_math]")
    words = ["sweep", RECIPES[0], "-o", tmp_path / "s.json", "--write-winner", tmp_path / "won", *grid]
    done = call(*words, "--format", "json")
    assert done.code == 0, done.err
    assert done.json["written"] == str(tmp_path / "won")
    assert (tmp_path / "won" / "model.safetensors").is_file()
    assert call("verify", tmp_path / "won").code == 0
    assert call(*words).code == 3  # the winner's place is taken: said before anything is searched


def test_the_how_to_runs(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every command of the page, as far as a dry run goes."""
    (tmp_path / "models").symlink_to(folder / "models")
    (tmp_path / "recipes").symlink_to(recipes_folder())
    (tmp_path / "sweep").mkdir()
    shutil.copy(recipes_folder() / "merge" / "task_arithmetic.yaml", tmp_path / "sweep" / "winner.yaml")
    monkeypatch.chdir(tmp_path)
    text = (recipes_folder().parent / "docs" / "sweeping.md").read_text().replace("\\\n", " ")
    commands = [shlex.split(line)[1:] for line in text.splitlines() if line.startswith("deltakit ")]
    assert len(commands) >= 5
    for words in commands:
        done = call(*words, *([] if "--dry-run" in words else ["--dry-run"]))
        assert done.code == 0, (words, done.err)


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ("search={lamda: [1]}", 2, "did you mean 'lambda'?"),
        ("search={lambda: []}", 2, "no values"),
        ("search={lambda: [.nan]}", 2, "not a finite number"),
        ("search.lambda=[0.5, 0.5]", 2, "listed twice"),
        ("merge.base=models/none", 3, "models/none"),
        ("select={split: test, seed: 0}", 2, "has no honest test score"),
        ("tasks=[toy_mat]", 2, "did you mean 'toy_math'"),
    ],
)
def test_what_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str, code: int, said: str
) -> None:
    monkeypatch.chdir(folder)
    done = call("sweep", RECIPES[0], "-o", tmp_path / "out", "--set", "sampler=grid", "--set", given)
    assert done.code == code
    assert said in done.err
    assert list(tmp_path.iterdir()) == []
