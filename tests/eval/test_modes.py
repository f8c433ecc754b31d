"""A mode for a whole run, and every mode on a real engine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deltakit import rng
from deltakit.delta.open import open_model
from deltakit.errors import RecipeError
from deltakit.generate import Host, Request
from deltakit.generate.play import Weigh
from deltakit_eval.asking import ask_of, pair_of
from deltakit_eval.model import DeltakitLM
from deltakit_eval.modes import set_mode
from deltakit_eval.run import evaluate
from deltakit_eval.tasks import load_tasks
from deltakit_eval.work import Settings
from support.running import write_folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_folder(tmp_path_factory.mktemp("models") / "base", 0))


def task_of(result: dict[str, Any]) -> dict[str, Any]:
    return next(iter(result["models"][0]["tasks"].values()))


def texts(result: dict[str, Any]) -> list[list[str]]:
    return [sample["responses"] for sample in task_of(result)["samples"]]


def test_a_mode_goes_to_what_generates() -> None:
    loaded = load_tasks(["toy_math", "toy_chat"], limit=1)
    set_mode(loaded, "best_of(n=2)")
    assert {t.config.generation_kwargs["mode"] for t in loaded.values()} == {"best_of(n=2)"}
    set_mode(loaded, None)
    with pytest.raises(RecipeError, match="asks in mode best_of"):
        set_mode(loaded, "hints")
    with pytest.raises(RecipeError, match="no task here generates"):
        set_mode({"arc": SimpleNamespace(OUTPUT_TYPE="multiple_choice")}, "hints")
    with pytest.raises(RecipeError) as caught:
        set_mode(loaded, "best_off")
    assert "best_of" in caught.value.remedy


def test_hints_and_best_of_run_end_to_end(model: str) -> None:
    plain = Settings(limit=2, max_new_tokens=4)
    direct = evaluate([model], ["toy_math"], plain)
    hinted = evaluate([model], ["toy_math"], Settings(limit=2, max_new_tokens=4, mode="hints"))
    best = evaluate([model], ["toy_math"], Settings(limit=2, max_new_tokens=4, mode="best_of(n=3)"))
    assert len({str(texts(found)) for found in (direct, hinted, best)}) == 3
    assert best["tasks"]["toy_math"]["config"]["generation_kwargs"]["mode"] == "best_of(n=3)"
    counts = [task_of(found)["generated_tokens"] for found in (direct, hinted, best)]
    assert counts[0] <= counts[1] <= 2 * 2 * 4
    assert counts[2] <= 2 * 3 * 4
    again = evaluate([model], ["toy_math"], Settings(limit=2, max_new_tokens=4, mode="best_of(n=3)"))
    assert texts(again) == texts(best)


def test_the_likeliest_draw_wins(model: str) -> None:
    """Best of n by likelihood, done by hand from the same draws."""
    lm = DeltakitLM(Host(device="cpu").serve(open_model(model)))
    instance = SimpleNamespace(args=("two", {"max_gen_toks": 5, "mode": "best_of(n=4, temperature=1.5)"}))
    (chosen,) = lm.generate_until([instance])
    ask, found = ask_of("two", instance.args[1]), []
    for i in range(4):
        seed = rng.key(ask.seed, "best_of", str(i))
        found += lm.engine.generate([Request(tuple(lm.encode("two")), 5, temperature=1.5, seed=seed)])
    nats = [lm.engine.score([pair_of(Weigh("two", c.text), lm.encode)])[0][0] / len(c.tokens) for c in found]
    assert chosen == found[nats.index(max(nats))].text


def test_a_step_beam_runs_end_to_end(model: str) -> None:
    found = evaluate([model], ["toy_math"], Settings(limit=1, max_new_tokens=6, mode="step_beam(width=2, step='e')"))
    assert len(texts(found)[0]) == 1


def test_a_program_that_scores_is_named_by_the_user(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loud.py").write_text("def count(prompt, answers):\n    return [len(a) for a in answers]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    mode = "best_of(n=3, by=\"program(entry='loud:count')\")"
    found = evaluate([model], ["toy_math"], Settings(limit=1, max_new_tokens=6, mode=mode))
    assert len(texts(found)[0][0]) > 0
