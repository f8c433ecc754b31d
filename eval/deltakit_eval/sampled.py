"""Several drawn answers per item: tasks are asked k times, every answer is scored as one alone, then put together.

A metric keeps its name and meaning, the score of a single answer: now the mean over an item's k answers. Beside it
stand avg@k (the same for the task's main metric), pass@j and maj@j for j = 2, 4, ..., k. Each item counts once, so
standard errors are clustered by item.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, cast

from deltakit.errors import RecipeError
from deltakit.grade.answers import Form
from deltakit.grade.passk import at_k, in_groups, pass_at_k
from deltakit.grade.votes import camps, vote
from deltakit_eval.tasks.names import parse_variant
from deltakit_eval.tasks.scoring import INVALID

__all__ = ["Sampling", "combine"]

Score = Callable[[str], Mapping[str, Any]]
_VOTED = ("number", "math", "text")  # forms of answers of which two can be told to be equal


@dataclass(frozen=True)
class Sampling:
    """`samples` answers an item, drawn at `temperature` from the tokens that `top_p` and `top_k` leave; a temperature
    of None leaves to each task how it draws. RecipeError for what is out of range or what greedy decoding would ignore.
    """

    samples: int = 1
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise RecipeError(f"samples is {self.samples}", remedy="at least 1")
        if self.temperature is not None and not 0 <= self.temperature <= 100:
            raise RecipeError(f"temperature is {self.temperature}", remedy="0 (greedy) or above, e.g. 0.7")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise RecipeError(f"top_p is {self.top_p}", remedy="above 0 and at most 1")
        if self.top_k is not None and self.top_k < 1:
            raise RecipeError(f"top_k is {self.top_k}", remedy="at least 1; leave it out to draw from all tokens")
        asked = {"samples": self.samples > 1, "top_p": self.top_p is not None, "top_k": self.top_k is not None}
        for name in (name for name, given in asked.items() if given and not self.temperature):
            problem = f"{name} is {getattr(self, name)}, but nothing is drawn: answers are greedy, always the same"
            raise RecipeError(problem, remedy="give a temperature above 0, e.g. 0.7")

    def apply(self, tasks: Mapping[str, Any]) -> None:
        """Set how the generation tasks among `tasks` (by full name) draw and how often; others have nothing to draw.

        A task of lm-eval's own that already repeats its requests keeps its repeats, filters and metrics.
        """
        if self.temperature is None:
            return
        generating = {name: task for name, task in tasks.items() if task.OUTPUT_TYPE == "generate_until"}
        if not generating:
            raise RecipeError("temperature: no task here generates text", remedy="leave the sampling options out")
        given = {"temperature": self.temperature, "top_p": self.top_p, "top_k": self.top_k}
        drawing = {"do_sample": self.temperature > 0, **{k: v for k, v in given.items() if v is not None}}
        for name, task in generating.items():
            task.set_config("generation_kwargs", {**(task.config.generation_kwargs or {}), **drawing})
            if self.samples > 1 and (task.config.repeats or 1) == 1:
                _ask_again(name, task, self.samples)


def _ask_again(name: str, task: Any, samples: int) -> None:
    """Let a task be asked `samples` times an item, and its metrics be taken over all answers."""
    from lm_eval.api.metrics import mean
    from lm_eval.filters.selection import TakeFirstFilter

    task.set_config("repeats", samples)
    for ensemble in task._filters:
        ensemble.filters = [step for step in ensemble.filters if getattr(step, "func", step) is not TakeFirstFilter]
    alone, main = task.process_results, str(next(iter(task.aggregation())))
    variant = parse_variant(name)
    votes = variant is None or variant.task.scoring == "answer"  # verdicts and refusals are not voted on

    def together(doc: Mapping[str, Any], results: Sequence[Any]) -> dict[str, Any]:
        form = str(doc.get("form", "")) if votes and isinstance(doc, Mapping) else ""
        return combine(list(results[0]), lambda answer: alone(doc, [answer]), main, form)

    task.process_results = together
    for k in at_k(samples):
        for metric in (f"avg@{samples}", f"maj@{k}", f"pass@{k}"):
            task._aggregation_list[metric], task._higher_is_better[metric] = mean, True


def combine(answers: Sequence[str], score: Score, main: str, form: str = "") -> dict[str, Any]:
    """The metrics of one item from its answers: of each metric of `score` the mean over the answers, then avg@n,
    pass@k and, where two answers of this `form` can be told to be equal, maj@k.

    An answer is right where its `main` metric is 1. pass@k is Chen's estimate from all answers; maj@k is the mean of
    the votes of each k successive answers, in which equal values are one and no answer never wins. Of a metric that
    is a list all answers' lists are joined; one that is something else (a corpus score's) is the first answer's.
    """
    known = {answer: score(answer) for answer in dict.fromkeys(answers)}  # algebra is not done twice
    scores = [known[answer] for answer in answers]
    n = len(scores)
    out = {metric: _mean([s[metric] for s in scores]) for metric in scores[0]}
    if not isinstance(out.get(main), Real):
        return out
    right = [float(s[main]) for s in scores]
    out[f"avg@{n}"] = out[main]
    for k in at_k(n):
        out[f"pass@{k}"] = pass_at_k(n, sum(r == 1 for r in right), k)
    if form in _VOTED:
        named = [None if answer == INVALID else answer for answer in answers]
        of = camps(named, cast("Form", form))
        out |= {f"maj@{k}": in_groups(n, k, lambda at: _voted(of, right, at)) for k in at_k(n)}
    return out


def _voted(of: Sequence[int | None], right: Sequence[float], at: range) -> float:
    won = vote([of[i] for i in at])
    return 0.0 if won is None else right[at[won]]


def _mean(values: Sequence[Any]) -> Any:
    if all(isinstance(v, Real) for v in values):
        return sum(map(float, values)) / len(values)
    if all(isinstance(v, list) for v in values):
        return [one for value in values for one in value]
    return values[0]
