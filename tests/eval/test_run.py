"""Several models on the same tasks: alone or together, resumed or not, the numbers are the same."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deltakit.errors import InputError, MismatchError, RecipeError, VerificationError
from deltakit_eval import measure as measuring
from deltakit_eval.run import evaluate, plan_evaluation
from deltakit_eval.work import Settings
from support.running import write_folder

SETTINGS = Settings(limit=5, max_new_tokens=6)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    base, tuned = write_folder(folder / "base", 0), write_folder(folder / "tuned", 1)
    return {"base": str(base), "tuned": str(tuned), "sum": f"{base} + 0.5*{tuned}"}


@pytest.fixture
def loss(tmp_path: Path) -> Path:
    path = tmp_path / "held_out.jsonl"
    path.write_text('{"query": "ask", "response": "say"}\n{"query": "more", "response": "and more"}\n')
    return path


def numbers(result: dict[str, Any]) -> Any:
    """A result without times, and without where it was computed."""
    apart = ("seconds", "place", "content", "settings")
    return json.loads(json.dumps(result), object_hook=lambda d: {k: v for k, v in d.items() if k not in apart})


def counted(monkeypatch: pytest.MonkeyPatch, fail_at: int = 0, error: type[Exception] = KeyboardInterrupt) -> list[str]:  # type: ignore[assignment]
    """The tasks that were really measured; the n-th measurement fails."""
    real, seen = measuring._one, list[str]()

    def one(name: str, *rest: Any) -> Any:
        seen.append(name)
        if len(seen) == fail_at:
            raise error("stop")
        return real(name, *rest)

    monkeypatch.setattr(measuring, "_one", one)
    return seen


@pytest.mark.parametrize("place", ["mixed", "swap"])
def test_together_they_score_as_each_alone(models: dict[str, str], loss: Path, place: str) -> None:
    settings = replace(SETTINGS, place=place)
    together = evaluate(list(models.values()), ["toy_math", "toy_chat"], settings, loss=loss)
    assert [m["model"] for m in together["models"]] == list(models.values())
    assert [m["place"] for m in together["models"]] == [place, "swap", place]  # tuned stands over no base
    for found in together["models"]:
        (alone,) = evaluate([found["model"]], ["toy_math", "toy_chat"], SETTINGS, loss=loss)["models"]
        assert numbers({**found, "loss": None}) == numbers({**alone, "loss": None})
        assert found["loss"]["loss"] == pytest.approx(alone["loss"]["loss"], rel=1e-6)
    texts = {json.dumps([s["responses"] for s in m["tasks"]["toy_math"]["samples"]]) for m in together["models"]}
    assert len(texts) == 3


def test_a_result_holds_what_is_needed_to_read_it(models: dict[str, str], loss: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    found = evaluate([models["base"]], ["toy_math"], SETTINGS, loss=loss, out=out)
    assert json.loads(out.read_bytes()) == found
    (model,) = found["models"]
    assert (model["dtype"], model["device"]) == ("float32", "cpu")
    assert model["content"].startswith("sha256:")
    assert model["loss"]["records"] == 2
    task = model["tasks"]["toy_math"]
    assert (task["n"], len(task["samples"]), task["headline"]) == (5, 5, "exact_match,marked")
    assert found["tasks"]["toy_math"]["version"] == task["version"] >= 1
    assert found["settings"]["max_new_tokens"] == 6
    assert {"lm_eval", "torch", "transformers"} <= found["versions"].keys()
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name or "lock" in p.name] == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError, VerificationError])
def test_a_run_that_stops_goes_on_where_it_was(
    models: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    names, out = list(models.values()), tmp_path / "results.json"
    whole = evaluate(names, ["toy_math", "toy_chat"], SETTINGS)
    with monkeypatch.context() as patch:
        counted(patch, fail_at=4, error=error)
        with pytest.raises(error):
            evaluate(names, ["toy_math", "toy_chat"], SETTINGS, out=out)
    assert not out.exists()
    seen = counted(monkeypatch)
    again = evaluate(names, ["toy_math", "toy_chat"], SETTINGS, out=out)
    assert seen == ["deltakit_toy_chat", "deltakit_toy_math", "deltakit_toy_chat"]
    assert numbers(again) == numbers(whole)
    assert json.loads(out.read_bytes()) == again


def test_other_weights_under_the_same_name_are_measured_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, out = write_folder(tmp_path / "m", 0), tmp_path / "results.json"
    with monkeypatch.context() as patch:
        counted(patch, fail_at=2)
        with pytest.raises(KeyboardInterrupt):
            evaluate([str(model)], ["toy_math", "toy_chat"], SETTINGS, out=out)
    write_folder(model, 1)
    seen = counted(monkeypatch)
    evaluate([str(model)], ["toy_math", "toy_chat"], SETTINGS, out=out)
    assert len(seen) == 2


def test_a_delta_file_over_its_base_is_the_tuned_model(models: dict[str, str], tmp_path: Path) -> None:
    from deltakit.delta.file.extract import extract

    extract(models["base"], models["tuned"], tmp_path / "x.delta")
    asked = [f"{models['base']} + {tmp_path}/x.delta", models["tuned"]]
    restored, tuned = evaluate(asked, ["toy_math"], replace(SETTINGS, place="swap"))["models"]
    assert restored["content"] == tuned["content"]
    assert restored["tasks"]["toy_math"]["samples"] == tuned["tasks"]["toy_math"]["samples"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.delta"]


def test_a_chat_template_is_asked_through_and_missed(tmp_path: Path, models: dict[str, str]) -> None:
    asked = Settings(limit=1, max_new_tokens=2, chat_template=True)
    with pytest.raises(InputError, match="base: the model's tokenizer has no chat template"):
        evaluate([models["base"]], ["toy_math"], asked)
    model = write_folder(tmp_path / "m", 0)
    (model / "chat_template.jinja").write_text("{% for m in messages %}[{{ m.content }}]{% endfor %}")
    (sample,) = evaluate([str(model)], ["toy_math"], asked)["models"][0]["tasks"]["toy_math"]["samples"]
    assert sample["prompt"].startswith("[Below is an instruction")
    assert sample["prompt"].endswith("]")


def test_a_plan_reads_no_weights(models: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "Host", None)
    plan = plan_evaluation([models["base"], models["sum"]], ["toy_math"], SETTINGS)
    assert plan["answers"] == 10
    assert {m["parameters"] for m in plan["models"]} == {plan["models"][0]["parameters"]}


def test_an_error_names_the_model(tmp_path: Path, models: dict[str, str]) -> None:
    wrong = write_folder(tmp_path / "wrong", 0)
    config = json.loads((wrong / "config.json").read_text())
    (wrong / "config.json").write_text(json.dumps({**config, "hidden_size": 64}))
    with pytest.raises(MismatchError, match="wrong: the weights do not fit"):
        evaluate([models["base"], str(wrong)], ["toy_math"], SETTINGS)


def test_an_existing_result_is_kept_unless_overwritten(models: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    out.write_text("mine")
    with pytest.raises(InputError, match="exists"):
        evaluate([models["base"]], ["toy_math"], SETTINGS, out=out)
    assert out.read_text() == "mine"
    evaluate([models["base"]], ["toy_math"], SETTINGS, out=out, overwrite=True)
    assert json.loads(out.read_bytes())["action"] == "eval"


def test_progress_reaches_its_total(models: dict[str, str], loss: Path) -> None:
    class Seen:
        total = done = 0
        stopped = False

        def start(self, what: str, total: int, unit: str = "B") -> None:
            self.total = total

        def advance(self, n: int, note: str = "") -> None:
            self.done += n

        def stop(self) -> None:
            self.stopped = True

    seen = Seen()
    evaluate([models["base"], models["sum"]], ["toy_math"], SETTINGS, loss=loss, progress=seen)
    assert seen.done == seen.total == 2 * (5 + 2)
    assert seen.stopped


@pytest.mark.parametrize(
    ("names", "says"), [([], "no model"), (["a", "a"], "each model once"), (["nowhere"], "nowhere")]
)
def test_models_are_checked_first(names: list[str], says: str) -> None:
    with pytest.raises((RecipeError, InputError), match=says):
        evaluate(names, ["toy_math"], SETTINGS)


def test_real_gsm8k_items(models: dict[str, str], shared_data: Path) -> None:
    settings = Settings(limit=3, max_new_tokens=4, style="qa")
    found = evaluate([models["base"]], ["gsm8k"], settings, data=shared_data)
    task = found["models"][0]["tasks"]["gsm8k:qa"]
    assert task["n"] == 3
    assert {m["filter"] for m in task["metrics"]} == {"marked", "last_number"}


def test_results_are_never_written_over_or_into_an_input(models: dict[str, str], loss: Path) -> None:
    for out in (Path(models["tuned"]) / "config.json", loss):
        before = out.read_bytes()
        for run in (evaluate, plan_evaluation):
            with pytest.raises(InputError, match="input"):
                run([models["sum"]], ["toy_math"], SETTINGS, loss=loss, out=out, overwrite=True)
        assert out.read_bytes() == before
