"""Several answers per item: each scored as one alone, put together, and every task is told how to draw."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.model import LM

from deltakit.errors import RecipeError
from deltakit_eval.run import evaluate
from deltakit_eval.sampled import Sampling, combine
from deltakit_eval.tasks import load_tasks
from deltakit_eval.tasks.scoring import INVALID
from deltakit_eval.work import Settings, prepare
from support.running import write_folder


class Scripted(LM):  # type: ignore[misc]
    """Says what it is given, in turn."""

    def __init__(self, said: Iterator[str]) -> None:
        super().__init__()
        self.said, self.asked = said, list[Any]()

    def generate_until(self, requests: Any) -> list[str]:
        self.asked += [instance.args[1] for instance in requests]
        return [next(self.said) for _ in requests]

    def loglikelihood(self, requests: Any) -> Any:
        raise AssertionError("nothing is scored here")

    loglikelihood_rolling = loglikelihood


def right_is_18(answer: str) -> dict[str, Any]:
    return {"exact_match": float(answer in ("18", "18.00")), "answered": float(answer != INVALID)}


def test_equal_values_vote_together_and_no_answer_never_wins() -> None:
    answers = ["17", "18", INVALID, INVALID, "18.00", "17.5", INVALID, INVALID]
    found = combine(answers, right_is_18, "exact_match", "number")
    assert found["exact_match"] == found["avg@8"] == 2 / 8
    assert found["answered"] == 4 / 8
    assert found["maj@8"] == 1.0
    assert found["maj@4"] == 0.5  # 17 was first of two; 18.00 is first of two
    assert found["maj@2"] == pytest.approx(1 / 4)  # 17 | nothing | 18.00 | nothing
    assert found["pass@2"] == pytest.approx(1 - math.comb(6, 2) / math.comb(8, 2))
    assert found["pass@8"] == 1.0


def test_an_answer_is_judged_once() -> None:
    judged: list[str] = []

    def score(answer: str) -> dict[str, float]:
        judged.append(answer)
        return right_is_18(answer)

    combine(["18", "17", "18", "18"], score, "exact_match", "number")
    assert judged == ["18", "17"]


def test_programs_are_not_voted_on_and_corpus_scores_are_left_alone() -> None:
    assert set(combine(["a", "b"], lambda a: {"pass": 1.0}, "pass")) == {"pass", "avg@2", "pass@2"}
    assert combine(["a", "b"], lambda a: {"bleu": ("gold", a)}, "bleu") == {"bleu": ("gold", "a")}
    assert combine(["a", "b"], lambda a: {"ok": 1.0, "all": [a == "a", True]}, "ok")["all"] == [True, True, False, True]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"samples": 0}, "samples is 0"),
        ({"samples": 4}, "greedy"),
        ({"samples": 4, "temperature": 0.0}, "greedy"),
        ({"top_p": 0.9}, "top_p is 0.9, but nothing is drawn"),
        ({"top_k": 5, "temperature": 0.0}, "top_k"),
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"temperature": 1.0, "top_p": 0.0}, "top_p is 0.0"),
        ({"temperature": 1.0, "top_k": 0}, "top_k is 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(RecipeError, match=says) as caught:
        Settings(**given)
    assert caught.value.remedy


def test_a_task_is_told_how_to_draw() -> None:
    loaded = load_tasks(["toy_math"], limit=2)
    Sampling(4, 0.7, 0.9, 40).apply(loaded)
    task = loaded["deltakit_toy_math"]
    drawing = {"do_sample": True, "temperature": 0.7, "top_p": 0.9, "top_k": 40}
    assert task.config.repeats == 4
    assert drawing.items() <= task.config.generation_kwargs.items()
    assert task.config.generation_kwargs["max_gen_toks"] == 96
    Sampling(1, 0.0).apply(loaded)
    assert task.config.generation_kwargs["do_sample"] is False


def test_a_task_that_repeats_by_itself_keeps_its_own_way() -> None:
    loaded = load_tasks(["toy_math"], limit=2)
    task = loaded["deltakit_toy_math"]
    task.set_config("repeats", 3)
    alone = task.process_results
    Sampling(4, 0.7).apply(loaded)
    assert (task.config.repeats, task.process_results, task.config.generation_kwargs["temperature"]) == (3, alone, 0.7)


def test_drawing_needs_something_to_generate(tmp_path: Path) -> None:
    path = tmp_path / "held_out.jsonl"
    path.write_text('{"query": "ask", "response": "say"}\n')
    with pytest.raises(RecipeError, match="no task here generates"):
        prepare([], Settings(temperature=0.7), loss=path)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_folder(tmp_path_factory.mktemp("models") / "base", 0))


def test_a_run_reports_every_k_with_errors_clustered_by_item(model: str, tmp_path: Path) -> None:
    settings = Settings(limit=6, max_new_tokens=4, samples=4, temperature=1.0)
    found = evaluate([model], ["toy_chat"], settings, out=tmp_path / "a.json")
    task = found["models"][0]["tasks"]["toy_chat"]
    assert {"exact_match", "answered", "avg@4", "maj@2", "maj@4", "pass@2", "pass@4"} <= {
        m["metric"] for m in task["metrics"]
    }
    assert task["headline"].startswith("exact_match,")
    assert (task["n"], [len(s["responses"]) for s in task["samples"]]) == (6, [4] * 6)
    assert [len(s["filters"]["marked"]["answer"]) for s in task["samples"]] == [4] * 6
    assert all(len(set(s["responses"])) == 4 for s in task["samples"])  # repeats have seeds of their own
    filtered = task["headline"].partition(",")[2]
    for m in (m for m in task["metrics"] if m["filter"] == filtered):
        per_item = [s["filters"][filtered][m["metric"]] for s in task["samples"]]
        mean = sum(per_item) / 6
        assert m["value"] == pytest.approx(mean)
        assert m["stderr"] == pytest.approx(math.sqrt(sum((x - mean) ** 2 for x in per_item) / 5 / 6))
    assert found["settings"]["samples"] == 4
    assert found["tasks"]["toy_chat"]["config"]["repeats"] == 4
    again = evaluate([model], ["toy_chat"], settings)["models"][0]["tasks"]["toy_chat"]
    assert json.dumps(again["samples"]) == json.dumps(task["samples"])
    other = evaluate([model], ["toy_chat"], Settings(limit=6, max_new_tokens=4, samples=4, temperature=1.0, seed=1))
    assert other["models"][0]["tasks"]["toy_chat"]["samples"][0]["responses"] != task["samples"][0]["responses"]


def test_the_first_of_several_draws_is_the_one_of_a_single_draw(model: str) -> None:
    """More samples add to what was drawn and change nothing of it."""
    one, three = (
        evaluate([model], ["toy_math"], Settings(limit=2, max_new_tokens=4, samples=k, temperature=1.0)) for k in (1, 3)
    )
    first = [s["responses"][:1] for s in three["models"][0]["tasks"]["toy_math"]["samples"]]
    assert [s["responses"] for s in one["models"][0]["tasks"]["toy_math"]["samples"]] == first


def test_a_task_with_lm_evals_own_metric_is_repeated_too() -> None:
    """As a stock task is: no filter named, exact_match by lm-eval; each answer is scored by the task's own way."""
    from datasets import Dataset
    from lm_eval import evaluator
    from lm_eval.api.task import ConfigurableTask

    said = iter(["4", "5", "4", "4", "7", "8", "9", "9"])
    task = ConfigurableTask(
        config={
            "task": "sums", "output_type": "generate_until", "test_split": "test", "num_fewshot": 0,
            "custom_dataset": lambda **_: {"test": Dataset.from_dict({"q": ["2 + 2", "4 + 4"], "a": ["4", "8"]})},
            "doc_to_text": "{{q}} =", "doc_to_target": "{{a}}", "generation_kwargs": {"until": ["\n"]},
            "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        }
    )  # fmt: skip
    Sampling(4, 0.5).apply({"sums": task})
    lm = Scripted(said)
    found = evaluator.evaluate(lm, {"tasks": {"sums": task}}, bootstrap_iters=10)["results"]["sums"]
    assert lm.asked == [{"until": ["\n"], "do_sample": True, "temperature": 0.5}] * 8
    assert found["exact_match,none"] == found["avg@4,none"] == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert found["pass@2,none"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["pass@4,none"] == 1.0
    assert not any(key.startswith("maj") for key in found)
    assert found["exact_match_stderr,none"] == pytest.approx(0.25)
