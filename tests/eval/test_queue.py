"""One queue for all models: after it the scoring finds every answer known, whatever the mode."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deltakit.generate import Engine
from deltakit.generate.request import Completion, Request
from deltakit_eval.answers import Answers
from deltakit_eval.model import DeltakitLM
from deltakit_eval.queue import Job, fill, instances_of
from deltakit_eval.remembered import Remembered, Seat
from deltakit_eval.tasks import load_tasks
from deltakit_eval.work import Settings
from support.running import running

SETTINGS = Settings(limit=3, max_new_tokens=4)


class Watched:
    """A real engine that remembers how it was called; tenants are ignored, since there is one model."""

    def __init__(self) -> None:
        self.engine, self.calls = Engine(*running(), frozenset({2})), list[list[Request]]()
        self.context, self.eos, self.tokenizer_of = self.engine.context, self.engine.eos, self.engine.tokenizer_of

    def generate(self, requests: Sequence[Request], done: Any = lambda i, found: None) -> list[Completion]:
        self.calls.append(list(requests))
        plain = [Request(r.prompt, r.max_new_tokens, r.stop) for r in requests]
        return self.engine.generate(plain, done)

    def score(self, *args: Any) -> Any:
        raise AssertionError("nothing is scored here")


def jobs_of(backend: Remembered, names: Sequence[str | None], tasks: dict[str, Any]) -> list[Job]:
    made = []
    for name in names:
        lm = DeltakitLM(Seat(backend, name, backend.eos), max_new_tokens=SETTINGS.max_new_tokens)
        made += [Job(lm, name, task, SETTINGS) for task in tasks.values()]
    return made


def test_all_models_and_tasks_are_one_call_and_scoring_asks_nothing_more() -> None:
    inner, told = Watched(), list[int]()
    backend = Remembered(inner, Answers(), {None: "base", "a": "a", "b": "b"})
    tasks = load_tasks(["toy_math", "toy_chat"], limit=3)
    jobs = jobs_of(backend, [None, "a", "b"], tasks)
    fill(jobs, backend, done=told.append)
    (call,) = inner.calls
    assert len(call) == 3 * 6
    assert {r.tenant for r in call} == {None, "a", "b"}
    assert sum(told) == 18
    for job in jobs:
        texts = job.lm.generate_until(instances_of(job))
        assert len(texts) == 3
    assert len(inner.calls) == 1


def test_modes_of_several_rounds_share_their_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = Watched()
    backend = Remembered(inner, Answers(), {None: "base", "a": "a"})
    tasks = load_tasks(["toy_math"], limit=3)
    for task in tasks.values():
        kwargs = {**task.config.generation_kwargs, "mode": "hints"}
        monkeypatch.setattr(task.config, "generation_kwargs", kwargs)
    jobs = jobs_of(backend, [None, "a"], tasks)
    fill(jobs, backend)
    assert [len(call) for call in inner.calls] == [6, 6]
    for job in jobs:
        job.lm.generate_until(instances_of(job))
    assert len(inner.calls) == 2


def test_likelihood_tasks_are_left_to_their_scoring(tmp_path: Path) -> None:
    class Choice:
        config = SimpleNamespace(task="choice")
        instances = [type("I", (), {"request_type": "loglikelihood", "repeats": 1, "args": ("a", "b")})()]

        def build_all_requests(self, **given: Any) -> None:
            pass

    backend = Remembered(Watched(), Answers(), {None: "base"})
    lm = DeltakitLM(Seat(backend, None, backend.eos))
    fill([Job(lm, None, Choice(), SETTINGS)], backend)
    assert backend.inner.calls == []  # type: ignore[attr-defined]
