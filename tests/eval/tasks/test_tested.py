from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lm_eval
import pytest
from lm_eval.api.model import LM

from deltakit.errors import UnsafeError
from deltakit.generate.play import Run
from deltakit.sandbox import Outcome
from deltakit.sandbox.probe import available
from deltakit_eval import programs
from deltakit_eval.run import evaluate
from deltakit_eval.tasks import load_tasks, task_manager, tested
from deltakit_eval.work import Settings
from support.running import write_folder

ITEM = {"test_setup_code": "", "test_list": ["assert one() == 1"]}
DOC = {"details": json.dumps(ITEM)}


def test_all_responses_of_a_task_are_run_at_once_and_told_apart() -> None:
    asked: list[Sequence[Run]] = []

    def run(programs: Sequence[Run]) -> list[Outcome]:
        asked.append(programs)
        right = ["return 1" in p.program for p in programs]
        return [Outcome("", "" if r else "AssertionError", "ok" if r else "error", 0.1) for r in right]

    responses = [["def one(): return 1", "<think>return 1</think>def one(): return 2"], ["def one(): return 1\n("]]
    assert tested.runner() is None
    with tested.running(run):
        assert tested.runner() is run
        strict = tested.tested(responses, [DOC, DOC])
        tested.trimmed(iter(responses), iter([DOC, DOC]))
    assert strict == [["passed", "error: AssertionError"], ["passed"]]
    assert [len(programs) for programs in asked] == [3, 3]
    assert {p.seconds for p in asked[0]} == {tested.SECONDS}
    assert "return 1" not in asked[0][1].program  # a thought is no answer
    assert "\n(" in asked[0][2].program
    assert "\n(" not in asked[1][2].program


def test_without_a_runner_a_sandbox_is_opened_or_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    if available() is not None:
        assert tested.tested([["def one(): return 1"]], [DOC]) == [["passed"]]

    def refuse() -> None:
        raise UnsafeError("not run")

    monkeypatch.setattr(tested, "open_sandbox", refuse)
    with pytest.raises(UnsafeError):
        tested.tested([["def one(): return 1"]], [DOC])


def test_passed_is_passed_and_nothing_else() -> None:
    assert tested.passed(DOC, ["passed"]) == {"pass@1": 1.0}
    assert tested.passed(DOC, ["exited: passed"]) == {"pass@1": 0.0}


def test_code_tasks_load_and_say_what_they_need(shared_data) -> None:
    names = ["humaneval", "mbpp", "mbpp:code", "humaneval:chat", "gsm8k:tir", "gsm8k:pot", "gsm8k"]
    tasks = load_tasks(names, data=shared_data, limit=2)
    assert [tested.runs_programs(task) for task in tasks.values()] == [True] * 6 + [False]
    (first, _) = tasks["deltakit_mbpp"].eval_docs
    assert first["prompt"].startswith('"""\nWrite a python function to remove first and last occurrence')
    assert 'assert remove_Occ("hello","l") == "heo"\n' in first["prompt"]
    assert "\r" not in first["prompt"]
    (begun, _) = tasks["deltakit_humaneval"].eval_docs
    assert begun["prompt"] == json.loads(begun["details"])["prompt"]
    asked = tasks["deltakit_mbpp_code"].eval_docs[0]["prompt"]
    assert asked.endswith("### Response:")


class Replay(LM):  # type: ignore[misc]
    """A model that answers each item with its own solution, the first one spoilt and the second followed by talk."""

    def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
        return [self.said(request.doc_id, str(request.doc["gold"])) for request in requests]

    def said(self, item: int, right: str) -> str:
        spoilt = {0: right.replace("return", "return 0,"), 1: f"{right}\n\nThat is all."}
        return spoilt.get(item, right)

    def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> Any:
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood


def test_solutions_score_through_lm_eval(shared_data: Path) -> None:
    if available() is None:
        pytest.skip("nothing here isolates programs")
    tasks = load_tasks(["humaneval", "mbpp"], data=shared_data, limit=8)
    found = lm_eval.simple_evaluate(Replay(), tasks=list(tasks.values()), task_manager=task_manager())["results"]
    for name in ("deltakit_humaneval", "deltakit_mbpp"):
        assert (found[name]["pass@1,tested"], found[name]["pass@1,trimmed"]) == (6 / 8, 7 / 8)


SHORT = Settings(limit=2, max_new_tokens=3, place="swap")


def test_an_evaluation_records_its_sandbox(tmp_path: Path, shared_data: Path) -> None:
    if available() is None:
        pytest.skip("nothing here isolates programs")
    base = write_folder(tmp_path / "base", 0)
    (model,) = evaluate([str(base)], ["mbpp", "toy_math"], SHORT, data={"mbpp": shared_data})["models"]
    assert model["tasks"]["mbpp"]["sandbox"]["isolation"] in ("bubblewrap", "namespaces")
    assert model["tasks"]["mbpp"]["headline"] == "pass@1,tested"
    assert "sandbox" not in model["tasks"]["toy_math"]
    verdicts = [sample["filters"]["tested"]["answer"] for sample in model["tasks"]["mbpp"]["samples"]]
    assert all("Error" in str(v) for v in verdicts)


def test_without_isolation_it_is_refused_before_anything_is_generated(
    tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(allow: str) -> None:
        raise UnsafeError(f"not run: {allow}")

    monkeypatch.setattr(programs, "open_sandbox", refuse)
    monkeypatch.setattr("deltakit.generate.Engine.generate", lambda *a, **k: pytest.fail("something was generated"))
    base = write_folder(tmp_path / "base", 0)
    with pytest.raises(UnsafeError, match="not run: isolated"):
        evaluate([str(base)], ["toy_math", "mbpp"], SHORT, data={"mbpp": shared_data})
