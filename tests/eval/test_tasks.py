from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deltakit.data.locate import VARIABLE
from deltakit.data.synthetic import generate
from deltakit.errors import InputError, RecipeError
from deltakit.prompts import alpaca, metamath
from deltakit_eval.run import evaluate as measure
from deltakit_eval.tasks import describe, headline, is_ours, load_tasks, task_manager, wants_chat
from deltakit_eval.work import Settings
from support.running import write_folder

pytest.importorskip("lm_eval")

import lm_eval  # noqa: E402
from lm_eval.api.model import LM  # noqa: E402


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
    assert done["versions"] == {"deltakit_toy_math": 2}
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
    task = load_tasks(["toy_math"], limit=2, style="qa")["deltakit_toy_math_qa"]
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
    with pytest.raises(InputError, match="mawps_test.jsonl"):
        load_tasks(["mawps"])


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


def test_a_task_stands_in_two_styles_in_one_run() -> None:
    loaded = load_tasks(["toy_math", "toy_math:qa", "deltakit_toy_math_bare"], limit=2)
    assert list(loaded) == ["deltakit_toy_math", "deltakit_toy_math_qa", "deltakit_toy_math_bare"]
    prompts = [task.doc_to_text(task.eval_docs[0]) for task in loaded.values()]
    assert prompts[0] == alpaca(prompts[2])
    assert prompts[1] == f"Question: {prompts[2]}\nAnswer:"


def test_a_style_of_the_run_is_for_names_that_say_none() -> None:
    loaded = load_tasks(["toy_math:qa", "toy_chat", "deltakit_toy_math_bare"], limit=1, style="metamath")
    assert list(loaded) == ["deltakit_toy_math_qa", "deltakit_toy_chat_metamath", "deltakit_toy_math_bare"]
    with pytest.raises(RecipeError, match="does not fit"):
        load_tasks(["toy_math"], style="cot8")


def test_data_can_be_named_for_a_task_or_for_one_of_its_variants(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(json.dumps({"query": f"Question {name}?", "response": "The answer is: 2"}) + "\n")
    data = {"toy_math:qa": tmp_path / "one", "toy_math": tmp_path / "two"}
    loaded = load_tasks(["toy_math:qa", "toy_math", "toy_math:bare"], data=data)
    assert [t.eval_docs[0]["question"] for t in loaded.values()] == ["Question one?", "Question two?", "Question two?"]


def test_a_part_is_drawn_from_ours_only() -> None:
    assert len(load_tasks(["toy_math"], subset=7)["deltakit_toy_math"].eval_docs) == 7
    with pytest.raises(RecipeError, match="arc_easy"):
        load_tasks(["arc_easy"], subset=7)
    with pytest.raises(RecipeError, match="both"):
        load_tasks(["toy_math"], subset=7, limit=3)


def test_modes_and_templates_of_a_style_are_told() -> None:
    task = load_tasks(["toy_math:chat"], limit=1)["deltakit_toy_math_chat"]
    assert "mode" not in task.config.generation_kwargs
    assert wants_chat("deltakit_toy_math_chat")
    assert not wants_chat("deltakit_toy_math")
    assert not wants_chat("arc_chat")
    assert describe("deltakit_gsm8k_hsp2")["mode"].startswith("hints(")  # type: ignore[index]
    assert describe("gsm8k") is None, "lm-eval's own"
    assert (is_ours("deltakit_gsm8k"), is_ours("gsm8k"), is_ours("deltakit_x")) == (True, False, False)


def test_hints_are_asked_for_by_the_mode_of_the_task(shared_data: Path) -> None:
    task = load_tasks(["gsm8k:hsp2"], limit=1)["deltakit_gsm8k_hsp2"]
    assert task.config.generation_kwargs["mode"].startswith("hints(")


def rows_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_gsm_plus_tells_critical_thinking_apart(shared_data: Path) -> None:
    rows = rows_of(shared_data / "gsm_plus" / "testmini.jsonl")
    model = Replay({row["question"]: f"{row['solution']}" for row in rows})
    done = evaluate(model, load_tasks(["gsm_plus", "gsm_plus_critical"], data=shared_data, subset=100))["results"]
    assert done["deltakit_gsm_plus"]["exact_match,marked"] == 1.0
    assert done["deltakit_gsm_plus_critical"]["exact_match,marked"] == 1.0
    answers = {row["question"]: "So it is 5.\nThe answer is: 5" for row in rows}
    done = evaluate(Replay(answers), load_tasks(["gsm_plus_critical"], data=shared_data, subset=20))["results"]
    assert done["deltakit_gsm_plus_critical"]["exact_match,anywhere"] == 0.0


@pytest.mark.parametrize("name", ["svamp", "mawps", "gsm_hard"])
def test_word_problems_score_their_own_answers(shared_data: Path, name: str) -> None:
    loaded = load_tasks([name], data=shared_data, subset=200)
    docs = list(loaded[f"deltakit_{name}"].eval_docs)
    answers = {d["question"]: f"So.\nThe answer is: {float(d['gold']):.4f}" for d in docs}
    scores = evaluate(Replay(answers), loaded)["results"][f"deltakit_{name}"]
    assert scores["exact_match,marked"] == 1.0


def test_instructions_are_checked_through_lm_eval(shared_data: Path) -> None:
    loaded = load_tasks(["ifeval"], data=shared_data, limit=2)
    first, second = loaded["deltakit_ifeval"].eval_docs
    answers = {first["question"]: "*a* *b* *c* " + "word " * 300, second["question"]: "A trip, thou seest"}
    done = evaluate(Replay(answers), loaded)
    scores = done["results"]["deltakit_ifeval"]
    assert (scores["prompt_strict,response"], scores["prompt_loose,response"]) == (0.5, 0.5)
    assert scores["instruction_strict,response"] == 0.75
    (why,) = json.loads(done["samples"]["deltakit_ifeval"][1]["filtered_resps"][0])
    assert why == {"instruction": "punctuation:no_comma", "strict": False, "loose": False, "why": "1 commas"}


def test_a_chat_style_is_asked_through_the_template_beside_others(tmp_path: Path) -> None:
    model = write_folder(tmp_path / "m", 0)
    (model / "chat_template.jinja").write_text("{% for m in messages %}[{{ m.content }}]{% endfor %}")
    found = measure([str(model)], ["toy_math", "toy_math:chat"], Settings(limit=1, max_new_tokens=2))
    tasks = found["models"][0]["tasks"]
    plain, chat = (tasks[name]["samples"][0]["prompt"] for name in ("toy_math", "toy_math:chat"))
    assert plain == alpaca(chat[1:-1])
    assert (chat[0], chat[-1]) == ("[", "]")
    assert (tasks["toy_math"]["asked"]["chat"], tasks["toy_math:chat"]["asked"]["chat"]) == (False, True)


def test_likelihoods_of_task_files_are_measured_beside_ours(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = write_folder(tmp_path / "m", 0)
    row = {"q": "What is 1 + 1?", "choices": ["2", "12"], "gold": 0, "text": "How many apples?"}
    (tmp_path / "docs.jsonl").write_text(2 * (json.dumps(row) + "\n"))
    where = f"dataset_path: json\ndataset_kwargs:\n  data_files: {{test: {tmp_path}/docs.jsonl}}\ntest_split: test\n"
    choice = "output_type: multiple_choice\ndoc_to_text: '{{q}}'\ndoc_to_choice: choices\ndoc_to_target: gold\n"
    rolling = "output_type: loglikelihood_rolling\ndoc_to_text: ''\ndoc_to_target: text\n"
    for name, text, metric in (("choose", choice, "acc\n  - metric: f1"), ("roll", rolling, "bits_per_byte")):
        (tmp_path / f"{name}.yaml").write_text(f"task: {name}\n{where}{text}metric_list:\n  - metric: {metric}\n")
    files = [str(tmp_path / f"{name}.yaml") for name in ("choose", "roll")]
    tasks = measure([str(model)], [*files, "toy_math"], Settings(limit=2, max_new_tokens=2))["models"][0]["tasks"]
    assert list(tasks) == ["choose", "roll", "toy_math"]
    assert tasks["choose"]["accuracy"] in (0.0, 1.0)
    assert tasks["roll"]["accuracy"] > 0
    assert "bootstrapping" not in capfd.readouterr().out  # lm-eval's own, which would spoil JSON on stdout
    assert "asked" not in tasks["roll"]


def test_a_local_task_file_with_choices_runs_beside_ours(tmp_path: Path) -> None:
    (tmp_path / "docs.jsonl").write_text(json.dumps({"q": "1 + 1 =", "choices": ["2", "3"], "gold": 0}) + "\n")
    file = tmp_path / "mine.yaml"
    file.write_text(
        f"task: mine\ndataset_path: json\ndataset_kwargs:\n  data_files: {{test: {tmp_path}/docs.jsonl}}\n"
        "output_type: multiple_choice\ntest_split: test\ndoc_to_text: '{{q}}'\ndoc_to_choice: choices\n"
        "doc_to_target: gold\nmetric_list:\n  - metric: acc\n"
    )
    loaded = load_tasks([str(file), "toy_math"], limit=1)
    assert sorted(loaded) == ["deltakit_toy_math", "mine"]

    class Likes(Replay):
        def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> Any:
            return [(-1.0 if "2" in request.args[1] else -2.0, False) for request in requests]

    assert evaluate(Likes({}), {"mine": loaded["mine"]})["results"]["mine"]["acc,none"] == 1.0


def test_a_name_that_both_have_is_lm_evals_own_where_it_says_stock(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("deltakit_eval.tasks.load_stock", lambda name: asked.append(name) or {name: "theirs"})
    assert load_tasks(["stock:gsm8k", "gsm8k_cot"]) == {"gsm8k": "theirs", "gsm8k_cot": "theirs"}
    assert asked == ["gsm8k", "gsm8k_cot"]


def test_data_of_a_task_that_is_not_asked_is_a_slip(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="'toy_mth', which is not asked") as caught:
        load_tasks(["toy_math"], data={"toy_mth": tmp_path})
    assert "'toy_math'" in caught.value.remedy
