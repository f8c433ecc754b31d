"""A sweep from recipe to files: together as alone, killed and resumed, with candidates that fail."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deltakit.errors import InputError, RecipeError
from deltakit.pipeline.sweep import run as module
from deltakit.pipeline.sweep.run import sweep
from deltakit_eval.run import evaluate
from deltakit_eval.work import Settings
from support.sweeps import Told, family, recipe


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return family(tmp_path_factory.mktemp("family"))


def good_at(best: float) -> Any:
    """Item i is right where lambda lies within i's tolerance of the best one."""
    return lambda share, i: float(abs(share - best) <= 0.05 + 0.02 * i)


def told(monkeypatch: pytest.MonkeyPatch, *given: Any, **more: Any) -> Told:
    made = Told(*given, **more)
    monkeypatch.setattr(module, "evaluate", made)
    return made


def test_candidates_score_as_each_alone_and_no_weights_are_written(models: Path, tmp_path: Path) -> None:
    wanted = recipe(models, search={"lambda": [0.5, 2.0], "method": ["task_arithmetic", "magmax"]})
    found = sweep(wanted, tmp_path / "out")
    assert [c["linear"] for c in found["candidates"]] == [True, False, True, False]
    settings = Settings(limit=4, split="train", seed=1, max_new_tokens=2)
    samples = json.loads((tmp_path / "out/evaluations/round-001.json").read_bytes())["models"]
    for row, model in zip(found["candidates"], samples, strict=True):
        text = row["model"] if row["linear"] else str(tmp_path / "out" / row["model"])
        assert model["model"] == text
        (alone,) = evaluate([text], ["toy_math", "toy_chat"], settings)["models"]
        for task in ("toy_math", "toy_chat"):
            assert model["tasks"][task]["samples"] == alone["tasks"][task]["samples"]
    assert json.loads((tmp_path / "out/sweep.json").read_bytes()) == found
    assert [p for p in (tmp_path / "out").rglob("*") if p.suffix in (".safetensors", ".delta")] == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_the_best_wins_and_is_tested_alone(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = told(monkeypatch, good_at(0.4))
    found = sweep(recipe(models), tmp_path / "out.json")
    assert found["winner"]["settings"] == {"lambda": 0.4}
    assert [c["rank"] for c in found["candidates"]] == [2, 1, 3] or [c["rank"] for c in found["candidates"]] == [
        3,
        1,
        2,
    ]
    assert made.calls == [["c001", "c002", "c003"], ["base", "merge as it stands", "winner"]]
    assert json.loads((tmp_path / "out.json").read_bytes()) == found
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]


def test_a_model_is_evaluated_once_whatever_its_settings(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = told(monkeypatch, good_at(0.5))
    halves = {"lambda": [0.5, 1], "models.math.weight": [0.5, 1], "models.chat.weight": [0.5, 1]}
    found = sweep(recipe(models, search=halves, sampler="grid(round=3)"), tmp_path / "out.json")
    assert [c["same_as"] for c in found["candidates"]].count(None) == 7
    assert [len(c) for c in made.calls[:-1]] == [3, 2, 2]
    assert len(set(made.texts)) == 7 + 1  # the base; the merge as it stands is a candidate's model
    assert found["noise"]["models"] == 7


@pytest.mark.parametrize("sampler", ["grid(round=2)", "optuna(trials=6, round=2, seed=1)"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError])
def test_a_sweep_that_stops_goes_on_where_it_was(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampler: str, error: type[Exception]
) -> None:
    wanted = recipe(models, search={"lambda": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}, sampler=sampler)
    whole = told(monkeypatch, good_at(0.4))
    reference = sweep(wanted, tmp_path / "reference.json")
    stopped = Told(good_at(0.4))

    def stop(models: Any, *rest: Any, **more: Any) -> Any:
        if models[-1].startswith("winner=") or (error is KeyboardInterrupt and len(stopped.calls) == 1):
            raise error("stop")
        return stopped(models, *rest, **more)

    monkeypatch.setattr(module, "evaluate", stop)
    with pytest.raises(error):
        sweep(wanted, tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()
    again = told(monkeypatch, good_at(0.4))
    assert sweep(wanted, tmp_path / "out.json") == reference
    assert stopped.calls + again.calls == whole.calls
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.json", "reference.json"]


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from deltakit.pipeline.sweep import run
from support.sweeps import recipe
real, calls = run.evaluate, []
def evaluate(models, *rest, **more):
    calls.append(models)
    if len(calls) == 2:
        class Bar:
            def start(self, *a): pass
            def stop(self): pass
            def advance(self, n, note=""):
                os.kill(os.getpid(), signal.SIGKILL)
        more["progress"] = Bar()
    return real(models, *rest, **more)
run.evaluate = evaluate
run.sweep(recipe(Path(sys.argv[1]), sampler="grid(round=1)", tasks=["toy_math"]), Path(sys.argv[2]))
"""


def test_a_killed_sweep_computes_no_answer_twice(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at the first answer of its second round: the first round is not evaluated again."""
    tests = str(Path(__file__).resolve().parents[2])
    words = [sys.executable, "-c", KILLED, str(models), str(tmp_path / "out.json"), tests]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, "TQDM_DISABLE": "1"})
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert any("partial" in p.name for p in tmp_path.iterdir())
    assert not (tmp_path / "out.json").exists()
    seen: list[str] = []

    def counted(models: Any, *rest: Any, **more: Any) -> Any:
        seen.extend(text.partition("=")[0] for text in models)
        return evaluate(models, *rest, **more)

    monkeypatch.setattr(module, "evaluate", counted)
    found = sweep(recipe(models, sampler="grid(round=1)", tasks=["toy_math"]), tmp_path / "out.json")
    assert seen == ["c002", "c003", "base", "merge as it stands", "winner"]
    assert len(found["candidates"]) == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.json"]


def test_a_candidate_that_fails_is_reported_and_the_others_go_on(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = told(monkeypatch, good_at(0.4), fail=["c001"])
    found = sweep(recipe(models), tmp_path / "out")
    assert made.calls[1:4] == [["c001"], ["c002"], ["c003"]]
    failed = found["candidates"][0]
    assert (failed["objective"], failed["rank"], failed["tasks"]) == (None, None, {})
    assert failed["error"] == "lambda=0.2: c001: does not run"
    assert "c001 failed: lambda=0.2: c001: does not run" in found["notes"]
    assert found["winner"]["id"] == "c002"
    assert found["noise"]["models"] == 2
    assert "failed" in (tmp_path / "out/sweep.md").read_text()


def test_where_every_candidate_fails_nothing_is_chosen(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(monkeypatch, good_at(0.4), fail=["c001", "c002", "c003"])
    with pytest.raises(InputError, match="every candidate failed; the first: lambda=0.2: c001: does not run"):
        sweep(recipe(models), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_outputs_are_kept_apart(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, good_at(0.4))
    (tmp_path / "mine.json").write_text("mine")
    with pytest.raises(InputError, match="exists"):
        sweep(recipe(models), tmp_path / "mine.json")
    assert (tmp_path / "mine.json").read_text() == "mine"
    sweep(recipe(models), tmp_path / "mine.json", overwrite=True)
    sweep(recipe(models), tmp_path / "out")
    sweep(recipe(models), tmp_path / "out", overwrite=True)
    with pytest.raises(InputError, match="inside the input"):
        sweep(recipe(models), models / "base" / "out")


def test_a_finished_sweep_is_taken_as_it_is_where_that_is_asked(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, out = told(monkeypatch, good_at(0.4)), tmp_path / "out.json"
    found = sweep(recipe(models), out, reuse=True)
    calls = len(made.calls)
    assert sweep(recipe(models), out, reuse=True) == found
    assert len(made.calls) == calls
    with pytest.raises(InputError, match="exists"):
        sweep(recipe(models, tasks=["toy_math"]), out, reuse=True)


def test_a_wrong_recipe_leaves_nothing(models: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError):
        sweep(recipe(models, search={"lamda": [1]}), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
