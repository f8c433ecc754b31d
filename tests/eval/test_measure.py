"""What is kept is not measured again, down to single answers; what is measured is the same however it was reached."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deltakit.errors import ResourceError
from deltakit.generate import Engine, Host
from deltakit_eval import run
from deltakit_eval.run import evaluate
from deltakit_eval.work import Settings
from support.running import write_folder

SETTINGS = Settings(limit=4, max_new_tokens=5, max_rows=1, place="swap")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("models")
    base, tuned = write_folder(folder / "base", 0), write_folder(folder / "tuned", 1)
    return [str(base), f"{base} + 0.5*{tuned}"]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every request that reaches an engine."""
    seen: list[Any] = []
    real = Engine.generate

    def generate(self: Engine, requests: Any, done: Any = lambda i, found: None) -> Any:
        seen.extend(requests)
        return real(self, requests, done)

    monkeypatch.setattr(Engine, "generate", generate)
    return seen


def plain(result: dict[str, Any]) -> Any:
    return json.loads(json.dumps(result), object_hook=lambda d: {k: v for k, v in d.items() if k != "seconds"})


def test_a_second_call_with_a_cache_loads_no_model(
    models: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = evaluate(models, ["toy_math"], SETTINGS, cache=tmp_path)
    monkeypatch.setattr(Host, "serve", lambda *args: pytest.fail("a model was loaded"))
    again = evaluate(models, ["toy_math"], SETTINGS, cache=tmp_path)
    assert plain(first) == plain(again)


def test_a_larger_run_asks_only_what_is_new(models: list[str], tmp_path: Path, asked: list[Any]) -> None:
    evaluate(models[:1], ["toy_math"], replace(SETTINGS, limit=2), cache=tmp_path)
    assert len(asked) == 2
    evaluate(models, ["toy_math"], SETTINGS, cache=tmp_path)
    assert len(asked) == 2 + 2 + 4
    expected = evaluate(models, ["toy_math"], SETTINGS)
    assert plain(evaluate(models, ["toy_math"], SETTINGS, cache=tmp_path)["models"][1]["tasks"]) == plain(
        expected["models"][1]["tasks"]
    )


@pytest.mark.parametrize(
    "other", [{"max_new_tokens": 6}, {"dtype": "bfloat16"}, {"style": "qa"}], ids=["length", "dtype", "style"]
)
def test_other_settings_share_no_answers(
    models: list[str], tmp_path: Path, asked: list[Any], other: dict[str, Any]
) -> None:
    evaluate(models[:1], ["toy_math"], SETTINGS, cache=tmp_path)
    evaluate(models[:1], ["toy_math"], replace(SETTINGS, **other), cache=tmp_path)
    assert len(asked) == 8


def test_another_library_that_scores_asks_nothing_anew_and_scores_again(
    models: list[str], tmp_path: Path, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = evaluate(models[:1], ["toy_math"], SETTINGS, cache=tmp_path)
    assert {"lm_eval", "math-verify", "sympy", "torch"} <= first["versions"].keys()
    before = (tmp_path / "answers.jsonl").read_bytes().count(b"\n")
    real = run.version
    monkeypatch.setattr(run, "version", lambda name: "99" if name == "sympy" else real(name))
    again = evaluate(models[:1], ["toy_math"], SETTINGS, cache=tmp_path)
    assert len(asked) == 4
    assert (tmp_path / "answers.jsonl").read_bytes().count(b"\n") == before + 1, "the scores"
    assert plain(again["models"]) == plain(first["models"])


@pytest.mark.parametrize("error", [KeyboardInterrupt, ResourceError])
def test_a_run_goes_on_at_the_item_where_it_stopped(
    models: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    out, expected = tmp_path / "r.json", evaluate(models, ["toy_math"], SETTINGS)
    real, told = Engine.generate, list[int]()

    def generate(self: Engine, requests: Any, done: Any = lambda i, found: None) -> Any:
        def stopping(i: int, found: Any) -> None:
            done(i, found)
            told.append(i)
            if len(told) == 6:
                raise error("stop")

        return real(self, requests, stopping)

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "generate", generate)
        with pytest.raises(error):
            evaluate(models, ["toy_math"], SETTINGS, out=out)
    left: list[Any] = []
    monkeypatch.setattr(Engine, "generate", lambda self, r, done: (left.extend(r), real(self, r, done))[1])
    assert plain(evaluate(models, ["toy_math"], SETTINGS, out=out)) == plain(expected)
    assert len(left) == 8 - 6
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_a_cache_of_another_version_is_refused_before_anything_runs(models: list[str], tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text('{"deltakit_answers": 99}\n')
    with pytest.raises(Exception, match="format 99"):
        evaluate(models, ["toy_math"], SETTINGS, cache=tmp_path)
