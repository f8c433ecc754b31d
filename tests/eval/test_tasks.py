from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deltakit.data.locate import VARIABLE
from deltakit.data.synthetic import generate
from deltakit.errors import InputError, RecipeError
from deltakit.grade.tasks import TASKS, find_task
from deltakit.prompts import alpaca, metamath, prompt_style
from deltakit_eval.tasks import FOLDER, PREFIX, headline, load_tasks, task_manager, task_names

pytest.importorskip("lm_eval")

import lm_eval  # noqa: E402
from lm_eval.api.model import LM  # noqa: E402
from lm_eval.tasks._yaml_loader import load_yaml  # noqa: E402


class Replay(LM):
    """A model that says what it is told to say."""

    def __init__(self, answers: dict[str, str]) -> None:
        super().__init__()
        self.answers = answers
        self.asked: list[Any] = []

    def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
        self.asked += [request.args for request in requests]
        return [self.answers[request.doc["question"]] for request in requests]

    def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> Any:
        raise NotImplementedError

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> Any:
        raise NotImplementedError


def evaluate(model: Replay, tasks: dict[str, Any]) -> dict[str, Any]:
    done: dict[str, Any] = lm_eval.simple_evaluate(model, tasks=list(tasks.values()), task_manager=task_manager())
    return done


def config(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = load_yaml(FOLDER / f"{PREFIX}{name}.yaml")
    return loaded


def test_every_task_of_the_grader_has_a_file() -> None:
    assert set(TASKS) <= set(task_names())


@pytest.mark.parametrize("name", task_names())
def test_a_task_file_agrees_with_the_table_of_tasks(name: str) -> None:
    made = config(name)
    task = find_task(made["metadata"]["source"])
    style = made["metadata"]["style"]
    assert made["task"] == PREFIX + name
    assert made["metadata"]["version"] == 1
    assert name == (task.name if style == task.style else f"{task.name}_{style}")
    assert made["generation_kwargs"] == {
        "until": list(prompt_style(style).stop),
        "do_sample": False,
        "temperature": 0.0,
        "max_gen_toks": task.max_tokens,
    }
    assert made["num_fewshot"] == 0
    names = {m["metric"] for m in made["metric_list"]}
    assert names == {"exact_match", "answered"} | ({"math_verify"} if task.form == "math" else set())
    assert headline(name) == f"exact_match,{made['filter_list'][0]['name']}"


def test_toy_tasks_take_only_marked_answers() -> None:
    assert [f["name"] for f in config("toy_math")["filter_list"]] == ["marked"]
    assert [f["name"] for f in config("gsm8k")["filter_list"]] == ["marked", "last_number"]


def test_toy_tasks_run_through_lm_eval(capsys: pytest.CaptureFixture[str]) -> None:
    rows = generate("math", "test", 6, seed=5)
    right = {row["query"]: row["response"] for row in rows}
    wrong = dict.fromkeys(list(right)[:2], "I have 7")
    model = Replay(right | wrong)
    done = evaluate(model, load_tasks(["toy_math"], limit=6, seed=5))
    scores = done["results"]["deltakit_toy_math"]
    assert scores["exact_match,marked"] == pytest.approx(4 / 6)
    assert scores["answered,marked"] == pytest.approx(4 / 6)
    assert scores["exact_match_stderr,marked"] == pytest.approx((4 / 6 * 2 / 6 / 5) ** 0.5)
    assert done["versions"] == {"deltakit_toy_math": 1}
    prompt, generation = model.asked[0]
    assert prompt == alpaca(rows[0]["query"])
    assert generation["max_gen_toks"] == 96
    sample = done["samples"]["deltakit_toy_math"][2]
    assert (sample["target"], sample["exact_match"]) == (rows[2]["response"].rpartition(": ")[2], 1.0)


def test_chat_is_compared_as_text() -> None:
    rows = generate("chat", "test", 4, seed=0)
    answers = {row["instruction"]: f" {row['output']}\n" for row in rows}
    answers[rows[0]["instruction"]] += "and more"
    scores = evaluate(Replay(answers), load_tasks(["deltakit_toy_chat"], limit=4))["results"]["deltakit_toy_chat"]
    assert scores["exact_match,marked"] == 0.75


def test_a_style_can_be_asked_for_and_is_recorded() -> None:
    task = load_tasks(["toy_math"], limit=2, style="qa")["deltakit_toy_math"]
    doc = task.eval_docs[0]
    assert task.doc_to_text(doc) == f"Question: {doc['question']}\nAnswer:"
    assert task.config.generation_kwargs["until"] == ["\nQuestion:"]
    assert task.config.generation_kwargs["max_gen_toks"] == 96
    assert task.config.metadata["style"] == "qa"


def test_each_task_can_have_its_own_data(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text(json.dumps({"query": "What is 1 + 1?", "response": "The answer is: 2"}) + "\n")
    loaded = load_tasks(["toy_math", "toy_chat"], data={"toy_math": file}, limit=3)
    assert [d["gold"] for d in loaded["deltakit_toy_math"].eval_docs] == ["2"]
    assert len(loaded["deltakit_toy_chat"].eval_docs) == 3


def test_names_and_numbers_are_checked_before_anything_is_loaded(tmp_path: Path) -> None:
    for names, options in (([], {}), (["gsm8k"], {"limit": 0}), (["gsm8k"], {"style": "alpacca"})):
        with pytest.raises(RecipeError):
            load_tasks(names, **options)  # type: ignore[arg-type]
    with pytest.raises(InputError):
        load_tasks(["toy_math"], data=tmp_path / "gone")


def test_no_data_is_the_houses_error_through_lm_eval_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(InputError, match="math/test.jsonl"):
        load_tasks(["math"])


def test_headline_knows_only_ours() -> None:
    with pytest.raises(RecipeError, match="arc_easy"):
        headline("arc_easy")


@pytest.mark.parametrize(("size", "score"), [("7b", 880), ("70b", 1083)])
def test_real_outputs_score_the_same_through_lm_eval(shared_data: Path, size: str, score: int) -> None:
    file = shared_data / "fixtures" / f"gsm8k_metamath_{size}_outputs.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    model = Replay({row["question"]: row["completion"] for row in rows})
    scores = evaluate(model, load_tasks(["gsm8k"], data=shared_data))["results"]["deltakit_gsm8k"]
    assert scores["exact_match,marked"] == pytest.approx(score / 1319)
    assert scores["exact_match,last_number"] == pytest.approx(score / 1319)
    assert scores["answered,marked"] == pytest.approx(1314 / 1319)
    assert model.asked[0][0] == metamath(rows[0]["question"])


def test_real_expressions_score_through_lm_eval(shared_data: Path) -> None:
    pytest.importorskip("math_verify")
    tasks = load_tasks(["math500"], data=shared_data, limit=40)
    docs = list(tasks["deltakit_math500"].eval_docs)
    model = Replay({d["question"]: f"So $x$.\nThe answer is: {d['gold']}" for d in docs})
    scores = evaluate(model, tasks)["results"]["deltakit_math500"]
    assert scores["exact_match,marked"] == scores["math_verify,marked"] == 1.0


def test_other_names_are_lm_evals_own_and_only_then_is_its_index_built(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    class Manager:
        all_tasks = ("arc_easy", "gsm8k_cot")

        def load(self, names: list[str]) -> dict[str, Any]:
            return {"tasks": dict.fromkeys(names, "loaded")}

    def manager(metadata: Any = None, *, stock: bool = False) -> Any:
        asked.append(stock)
        return Manager() if stock else task_manager(metadata)

    monkeypatch.setattr("deltakit_eval.tasks.task_manager", manager)
    loaded = load_tasks(["toy_math", "arc_easy"], limit=1)
    assert sorted(loaded) == ["arc_easy", "deltakit_toy_math"]
    assert asked == [False, True]
    with pytest.raises(RecipeError, match="arc_eazy") as caught:
        load_tasks(["arc_eazy"])
    assert "'arc_easy'" in caught.value.remedy
    with pytest.raises(RecipeError, match="qqqq") as caught:
        load_tasks(["qqqq"])
    assert caught.value.remedy == f"known: {', '.join(task_names())}"


def test_a_misspelt_name_of_ours_suggests_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deltakit_eval.tasks.task_manager", lambda **_: pytest.fail("not needed"))
    with pytest.raises(RecipeError, match="deltakit_gsm9k") as caught:
        load_tasks(["deltakit_gsm9k"])
    assert "'gsm8k'" in caught.value.remedy
