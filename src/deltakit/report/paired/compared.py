"""A whole comparison: every model against the reference on every task, corrected for their number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deltakit.errors import InputError, MismatchError, NonFiniteError, RecipeError
from deltakit.registry import did_you_mean
from deltakit.report.paired import conditions
from deltakit.report.paired.bootstrap import DRAWS, generator
from deltakit.report.paired.difference import Difference, measure
from deltakit.report.paired.flips import Flip, flips
from deltakit.report.paired.holm import holm
from deltakit.report.paired.item import Run
from deltakit.report.paired.pairing import Pairing, left_out, pair

__all__ = ["LEVEL", "Compared", "Pair", "compare"]

LEVEL = 0.05
_VERDICTS = {1: "better", -1: "worse", 0: "no difference shown"}


@dataclass(frozen=True)
class Pair:
    """One model on one task against the reference. `label` names the task; `p_holm` is corrected for all pairs."""

    task: str
    label: str
    model: str
    pairing: Pairing
    found: Difference
    lower: bool
    p_holm: float

    @property
    def significant(self) -> bool:
        """At 5 % for all comparisons together."""
        return self.p_holm < LEVEL and self.found.value != 0

    @property
    def verdict(self) -> str:
        """better, worse, or no difference shown."""
        up = (self.found.value > 0) != self.lower
        return _VERDICTS[(1 if up else -1) if self.significant else 0]

    @property
    def flips(self) -> list[Flip]:
        """The items that differ, to read."""
        return flips(self.pairing)


@dataclass(frozen=True)
class Compared:
    """`pairs` in order of tasks, then models; `labels` names the tasks; `warnings`: what is not as it should be;
    `untested`: those of them that say that a model was not compared on a task."""

    reference: Run
    runs: tuple[Run, ...]
    labels: dict[str, str]
    pairs: tuple[Pair, ...]
    warnings: tuple[str, ...]
    untested: tuple[str, ...]
    seed: int
    draws: int

    def of_task(self, task: str) -> list[Pair]:
        """The pairs of one task, in order of models."""
        return [p for p in self.pairs if p.task == task]

    def worse(self, margin: float | None = None) -> list[str]:
        """Pairs that are significantly worse; with a margin, those whose interval does not rule out a loss above it
        (in percentage points; for a loss in hundredths of a nat). What was not compared is not known to be no worse."""
        if margin is None:
            found = [f"{p.model} on {p.label}: p = {p.p_holm:.2g}" for p in self.pairs if p.verdict == "worse"]
        else:
            worst = [(p, 100 * (p.found.high if p.lower else -p.found.low)) for p in self.pairs]
            found = [f"{p.model} on {p.label}: up to {loss:.3g} worse" for p, loss in worst if loss > margin]
        return [*found, *self.untested]


def compare(
    runs: Sequence[Run],
    *,
    against: str | None = None,
    tasks: Sequence[str] = (),
    metric: str | None = None,
    seed: int = 0,
    draws: int = DRAWS,
) -> Compared:
    """Compare every run with the first one, or with the one called `against`, on the tasks both have.

    `tasks` by label or full name (all); `metric` "metric,filter" instead of each task's headline. Deterministic.
    InputError for one model alone, RecipeError for names, MismatchError for nothing in common, NonFiniteError where
    no finite score is left to compare.
    """
    if len(runs) < 2:
        raise InputError("one model alone: nothing to compare", remedy="name a second result file, or FILE#MODEL")
    reference = _reference(runs, against)
    others = [run for run in runs if run is not reference]
    labels = _labels(runs)
    wanted = _wanted(tasks, labels, reference)
    warnings = [note for run in runs for note in run.notes]
    warnings += conditions.differences([reference, *others], {t: labels[t] for t in wanted})
    measured, told, untested = _measured(reference, others, wanted, labels, metric, seed, draws)
    adjusted = holm([found.p for *_, found in measured])
    pairs = tuple(
        Pair(task, labels[task], run.name, pairing, found, reference.tasks[task].is_lower_better(pairing.metric), p)
        for (task, run, pairing, found), p in zip(measured, adjusted, strict=True)
    )
    shown = {task: labels[task] for task in wanted if any(p.task == task for p in pairs)}
    said = tuple(dict.fromkeys([*warnings, *told, *untested]))
    return Compared(reference, tuple(runs), shown, pairs, said, tuple(untested), seed, draws)


def _reference(runs: Sequence[Run], against: str | None) -> Run:
    if against is None:
        return runs[0]
    names = [run.name for run in runs]
    if against not in names:
        raise RecipeError(f"no model {against!r} in the results", remedy=did_you_mean(against, names))
    return runs[names.index(against)]


def _labels(runs: Sequence[Run]) -> dict[str, str]:
    """What tasks are called: their short names where no two tasks have the same."""
    found: dict[str, str] = {}
    for run in runs:
        for task, label in run.labels.items():
            if task not in found or label != task:
                found[task] = label
    counts = list(found.values())
    return {task: label if counts.count(label) == 1 else task for task, label in found.items()}


def _wanted(tasks: Sequence[str], labels: dict[str, str], reference: Run) -> list[str]:
    """Full names of the tasks to compare: those of the reference, or those named."""
    if not tasks:
        return list(reference.tasks)
    by_name = {**{label: task for task, label in labels.items()}, **{task: task for task in labels}}
    for name in tasks:
        if name not in by_name:
            raise RecipeError(f"no task {name!r} in the results", remedy=did_you_mean(name, list(by_name)))
    return [task for task in dict.fromkeys(by_name[name] for name in tasks) if task in reference.tasks]


def _measured(
    reference: Run, others: Sequence[Run], tasks: Sequence[str], labels: dict[str, str], metric: str | None,
    seed: int, draws: int,
) -> tuple[list[tuple[str, Run, Pairing, Difference]], list[str], list[str]]:  # fmt: skip
    """What could be measured, what is to be told of it, and what could not be measured."""
    found: list[tuple[str, Run, Pairing, Difference]] = []
    told: list[str] = []
    untested: list[str] = []
    broken, mismatched = False, list[MismatchError]()
    for task in tasks:
        for run in others:
            what = f"{labels[task]}, {run.name} against {reference.name}"
            if task not in run.tasks:
                untested.append(f"{run.name} has no scores on {labels[task]}: not compared")
                continue
            try:
                pairing = pair(reference.tasks[task], run.tasks[task], what, metric)
            except MismatchError as error:  # of one model among many; of all of them the first is raised below
                mismatched.append(error)
                untested.append(f"{error.message}: not compared")
                continue
            told += [f"{what}: {note}" for note in (*pairing.notes, *left_out(pairing, reference.name, run.name))]
            if problem := _unfit(pairing, reference.name, run.name):
                untested.append(f"{what}: {problem}")
                broken = True
                continue
            lower = reference.tasks[task].is_lower_better(pairing.metric)
            names = (task, reference.name, run.name)
            found.append((task, run, pairing, measure(pairing, lower, generator(seed, *names), draws)))
    if not found and broken:
        raise NonFiniteError("no scores to compare", details=untested, remedy="compare models whose scores are numbers")
    if not found and mismatched:
        raise mismatched[0]
    if not found:
        lists = [f"{run.name}: {', '.join(run.labels.values()) or 'none'}" for run in (reference, *others)]
        raise MismatchError("no task in common", details=lists, remedy="evaluate both on the same tasks")
    return found, told, untested


def _unfit(pairing: Pairing, first: str, second: str) -> str:
    """Why a pairing cannot be measured; empty if it can."""
    for count, name in zip(pairing.unknown, (first, second), strict=True):
        if count:
            return f"{count} of {len(pairing.items)} scores of {name} are not finite: not compared"
    if any(a.weight != b.weight for a, b in pairing.items):
        return "token counts differ (another tokenizer?), nats per token of both say nothing: not compared"
    return ""
