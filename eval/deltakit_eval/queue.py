"""All requests of all models at a station, asked together: built through lm-eval's task interface, answered in one
queue, remembered. Scoring afterwards goes through lm-eval as always and finds every answer known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from deltakit.generate.backend import Backend
from deltakit.generate.play import Play, perform
from deltakit_eval.answering import Answering, Sandbox
from deltakit_eval.asking import play_of
from deltakit_eval.model import DeltakitLM, item_name
from deltakit_eval.tasks import wants_chat
from deltakit_eval.work import Settings

__all__ = ["Job", "fill", "instances_of"]


@dataclass(frozen=True)
class Job:
    """One model's task: `lm` asks for the model, `tenant` is its name at the backend."""

    lm: DeltakitLM
    tenant: str | None
    task: Any
    settings: Settings


def instances_of(job: Job) -> list[Any]:
    """lm-eval's requests of one task for one model, each as often as it is repeated, in the order of its evaluator."""
    s, task = job.settings, job.task
    chat = s.chat_template or wants_chat(task.config.task)
    task.build_all_requests(
        limit=s.limit,
        rank=0,
        world_size=1,
        cache_requests=False,
        rewrite_requests_cache=False,
        apply_chat_template=chat,
        fewshot_as_multiturn=chat,
        chat_template=job.lm.apply_chat_template if chat else None,
        tokenizer_name=job.lm.tokenizer_name if chat else "",
    )
    return [instance for instance in task.instances for _ in range(instance.repeats)]


def fill(jobs: Sequence[Job], backend: Backend, run: Sandbox | None = None, done: Any = lambda items: None) -> None:
    """Ask everything that the jobs' generation tasks want, in one queue of rounds; `done(1)` is called for each item.
    Likelihoods are asked when they are scored: there is nothing to gain from mixing them."""
    asked = [(job, instance, play) for job in jobs for instance, play in _plays(job)]
    answering = Answering(
        backend,
        lambda i: (asked[i][0].lm.encode, asked[i][0].tenant),
        run=run,
        name=lambda i: item_name(asked[i][1]),
        known=lambda i: done(1),
    )
    perform([play for _, _, play in asked], answering)


def _plays(job: Job) -> Iterator[tuple[Any, Play]]:
    seen: Counter[str] = Counter()
    s = job.settings
    for instance in instances_of(job):
        if instance.request_type == "generate_until":
            context, settings = instance.args
            repeat, limit = seen[context], s.max_new_tokens
            yield instance, play_of(context, settings, seed=s.seed, repeat=repeat, max_new_tokens=limit)
            seen[context] += 1
