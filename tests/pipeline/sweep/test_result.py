"""What a result says: ranks, noise, the test with intervals, the gap, and remarks."""

import json
from pathlib import Path
from typing import Any

import pytest

from deltakit.pipeline.sweep import run as module
from deltakit.pipeline.sweep.run import sweep
from deltakit.report.results import Score
from support.sweeps import Told, family, recipe


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return family(tmp_path_factory.mktemp("family"))


def swept(models: Path, out: Path, monkeypatch: pytest.MonkeyPatch, score: Any, **more: Any) -> dict[str, Any]:
    monkeypatch.setattr(module, "evaluate", Told(score, items=more.pop("items", 20)))
    return sweep(recipe(models, **more), out)


def test_ranks_differences_and_the_winner(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Items 0 to 9 are right at 0.4 and 0.6, 10 and 11 at 0.4 alone, 12 at 0.6 alone; none at 0.2."""
    right = {0.4: {*range(12)}, 0.6: {*range(10), 12}}
    found = swept(models, tmp_path / "o.json", monkeypatch, lambda x, i: float(i in right.get(x, ())))
    one, two, three = found["candidates"]
    assert (two["rank"], three["rank"], one["rank"]) == (1, 2, 3)
    assert two["objective"] == pytest.approx(0.6)
    assert three["behind"]["difference"] == pytest.approx(0.05)
    assert three["behind"]["within_noise"]
    assert not one["behind"]["within_noise"]
    assert (found["noise"]["within"], found["noise"]["models"]) == (1, 3)
    assert found["noise"]["text"].startswith("1 of 2 other candidates are within noise of the winner")
    assert two["wins"] + three["wins"] == pytest.approx(1.0)
    assert two["wins"] > three["wins"] > 0
    assert 0 < found["noise"]["optimism"] < 0.1
    assert found["winner"]["merge"]["lambda"] == 0.4


def test_the_first_of_equals_wins(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = swept(models, tmp_path / "o.json", monkeypatch, lambda x, i: 1.0)
    assert [c["rank"] for c in found["candidates"]] == [1, 2, 3]
    assert found["noise"]["optimism"] == 0.0


def test_the_test_has_intervals_and_the_gap_an_error(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = swept(models, tmp_path / "o.json", monkeypatch, lambda x, i: float(x == 0.4 or i < 5 and x == 1.0))
    base, standing, winner = found["test"]["models"]
    assert [m["role"] for m in (base, standing, winner)] == ["base", "standing", "winner"]
    task = winner["tasks"]["toy_math"]
    low, high = Score(1.0, 0.0, 20).interval or (0, 0)
    assert (task["low"], task["high"]) == (low, high)
    assert winner["low"] == pytest.approx(1 - (1 - low) / 2**0.5)  # two tasks, each with half the weight
    assert winner["high"] == 1.0
    assert (standing["ahead"]["difference"], standing["ahead"]["paired"]) == (pytest.approx(0.75), True)
    assert (base["objective"], winner["ahead"]) == (0.0, None)
    assert found["test"]["gap"] == {"difference": 0.0, "stderr": 0.0}


def test_merges_that_are_no_expressions_are_named_by_their_recipes(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "evaluate", Told(lambda x, i: 1.0))
    merge: dict[str, Any] = {"base": str(models / "base"), "method": "ties", "lambda": 0.9, "density": 0.3}
    merge["models"] = [{"name": name, "model": str(models / name)} for name in ("math", "chat")]
    found = sweep(recipe(models, search={"lambda": [0.3, 0.6]}, merge=merge), tmp_path / "out")
    named = {model["role"]: model["model"] for model in found["test"]["models"]}
    assert named["winner"] == "candidates/c001.yaml"
    assert named["standing"] == "candidates/standing.yaml"
    assert all((tmp_path / "out" / named[role]).is_file() for role in ("winner", "standing"))


def test_weights_decide(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Uneven(Told):
        def __call__(self, models: Any, tasks: Any, settings: Any, **more: Any) -> Any:
            found = super().__call__(models, tasks, settings, **more)
            for model in found["models"]:
                if "0.2*" in model["model"]:  # good at chat alone
                    model["tasks"]["toy_math"]["accuracy"] = 0.0
            return found

    monkeypatch.setattr(module, "evaluate", Uneven(lambda x, i: 1.0 if x == 0.2 else 0.6))
    assert sweep(recipe(models), tmp_path / "a.json")["winner"]["settings"] == {"lambda": 0.4}
    uneven = recipe(models, tasks={"toy_math": 1, "toy_chat": 2})
    assert sweep(uneven, tmp_path / "b.json")["winner"]["settings"] == {"lambda": 0.2}


@pytest.mark.parametrize(
    ("best", "more", "said"),
    [
        (0.6, {}, "The winner lies at the edge of what was searched (lambda)"),
        (1.0, {"search": {"lambda": [0.5, 1.0, 2.0]}}, "The winner is the merge as it stands."),
        (0.5, {"search": {"lambda": [0.5, 1], "models.math.weight": [0.5, 1], "models.chat.weight": [0.5, 1]}},
         "1 candidates are the same model as another"),
        (0.4, {"select": {"limit": 4, "split": "test", "seed": 0, "same_items": True}}, "WARNING: toy_math: 4 of 4"),
    ],
)  # fmt: skip
def test_remarks(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best: float, more: dict[str, Any], said: str
) -> None:
    found = swept(models, tmp_path / "o.json", monkeypatch, lambda x, i: float(abs(x - best) < 0.01 * i), **more)
    assert any(note.startswith(said) for note in found["notes"]), found["notes"]


def test_scores_that_tell_of_a_format_are_pointed_out(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Flagged(Told):
        def _task(self, text: str) -> dict[str, Any]:
            return {**super()._task(text), "format": "strict 10 %, flexible 90 %", "truncated": 0.25}

    monkeypatch.setattr(module, "evaluate", Flagged(lambda x, i: float(i % 2)))
    notes = sweep(recipe(models), tmp_path / "o.json")["notes"]
    assert "c001, toy_math: strict 10 %, flexible 90 %" in notes
    assert "and 3 more such scores of candidates" in notes
    assert "test: winner, toy_chat: strict 10 %, flexible 90 %" in notes
    assert any(n.startswith("test: winner, toy_math: 25.0% of the texts were cut") for n in notes)


def test_it_is_json_without_places(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = swept(models, tmp_path / "o.json", monkeypatch, lambda x, i: float(i % 2), search={"method": ["ties"]})
    text = json.dumps(found, allow_nan=False)
    assert "partial" not in text
    assert found["candidates"][0]["model"] == "candidates/c001.yaml"
    assert found["test"]["models"][-1]["model"] == "candidates/c001.yaml"
