"""What a sweep found, as JSON: every candidate with its scores, the winner, its one test, and how much is luck."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeAlias

from deltakit.manifest import digest
from deltakit.pipeline.sweep.candidate import Candidate
from deltakit.pipeline.sweep.noise import Luck, behind, luck
from deltakit.pipeline.sweep.objective import Scores, difference, objective, scores_of
from deltakit.pipeline.sweep.plan import STANDING, SweepPlan
from deltakit.pipeline.sweep.trials import Trials
from deltakit.report.results import Score
from deltakit_eval.remarks import endings, formats

__all__ = ["SCHEMA_VERSION", "make_result", "ranked"]

Row: TypeAlias = Mapping[str, Any]
Rows: TypeAlias = Sequence[Row]

SCHEMA_VERSION = 1
_SHOWN = 3


def ranked(trials: Trials, weights: Mapping[str, float]) -> list[Candidate]:
    """The candidates that have scores, best objective first; of equals the one that was asked first. Candidates that
    are the same model stand once."""
    scored = [c for c in trials.candidates if c.id in trials.scores]
    return sorted(scored, key=lambda c: -objective(trials.scores[c.id], weights)[0])


def make_result(plan: SweepPlan, trials: Trials, order: Sequence[Candidate], test: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a sweep, JSON-able:

    - `schema_version`, `action` ("sweep"), `versions`, `plan` (the digest of all that decides it), `recipe` (of the
      sweep), `merge` (what is swept), `fields` (the searched fields, in order), `sampler`, `device`, `dtype`;
    - `tasks`: name -> {weight, version, select: {n, documents}, test: {n, documents}} (digests of the documents);
    - `select`, `test_items`: {split, limit, seed} of the two sets of items;
    - `candidates`, in the order of asking: {id, settings: {field: value}, model (an expression, or candidates/ID.yaml),
      linear, same_as (the id of a candidate that is the same model) or null, error or null, rank (from 1) or null,
      objective, stderr, tasks: {name: {accuracy, stderr, n, format (a remark or null)}}, wins (how often it is the best
      when the items are drawn anew), behind: {difference, stderr, paired, within_noise} (of the winner over it)};
    - `winner`: {id, settings, objective, stderr, merge (its recipe as plain data)};
    - `noise`: {models (different ones with scores), within (how many others noise cannot tell from the winner),
      optimism (of the winner's objective, by bootstrap) or null, draws, text};
    - `test`: {models: [{name, role (winner, base, standing, beside), model, objective, stderr, low, high, tasks: {name:
      {accuracy, stderr, n, low, high}}, ahead: {difference, stderr, paired} of the winner over it, or null}],
      gap: {difference (winner's objective on the selection - on the test), stderr}};
    - `notes`: warnings and remarks, a line each. Accuracies are shares, intervals 95 %.
    """
    weights, winner = plan.tasks, order[0]
    chances = luck([trials.scores[c.id] for c in order], weights)
    rows = _rows(plan, trials, order, chances)
    best = next(row for row in rows if row["id"] == winner.id)
    tested = _tested(plan, winner, test)
    noise = _noise(rows, chances)
    gap = _gap(best, next(m for m in tested if m["role"] == "winner"))
    return {
        "schema_version": SCHEMA_VERSION,
        "action": "sweep",
        "versions": test["versions"],
        "plan": digest(plan.identity()),
        "recipe": plan.recipe.model_dump(mode="json", by_alias=True, exclude_unset=True),
        "merge": dict(plan.space.document),
        "fields": list(plan.space.fields),
        "sampler": plan.recipe.sampler,
        "device": test["models"][-1].get("device"),
        "dtype": test["models"][-1].get("dtype"),
        "tasks": _tasks(plan),
        "select": _items(plan.recipe.select),
        "test_items": _items(plan.recipe.test),
        "candidates": rows,
        "winner": {
            "id": winner.id, "settings": dict(winner.settings), "objective": best["objective"],
            "stderr": best["stderr"], "merge": dict(winner.document),
        },
        "noise": noise,
        "test": {"models": tested, "gap": gap},
        "notes": [*plan.notes, *_remarks(plan, rows, winner, noise, gap), *_artefacts(rows, test)],
    }  # fmt: skip


def _items(items: Any) -> dict[str, Any]:
    return {key: getattr(items, key) for key in ("split", "limit", "seed")}


def _tasks(plan: SweepPlan) -> dict[str, Any]:
    select, test = (work.identity()["tasks"] for work in (plan.select, plan.test))
    return {
        name: {
            "weight": weight, "version": select[name]["version"],
            "select": {key: select[name][key] for key in ("n", "documents")},
            "test": {key: test[name][key] for key in ("n", "documents")},
        }
        for name, weight in plan.tasks.items()
    }  # fmt: skip


def _bare(scores: Scores) -> dict[str, dict[str, Any]]:
    """Scores without their items."""
    return {name: {k: v for k, v in task.items() if k != "items"} for name, task in scores.items()}


def _rows(plan: SweepPlan, trials: Trials, order: Sequence[Candidate], chances: Luck | None) -> list[dict[str, Any]]:
    rank = {c.id: place for place, c in enumerate(order, 1)}
    wins = dict(zip((c.id for c in order), chances.wins, strict=True)) if chances else {}
    best = trials.scores[order[0].id]
    rows = []
    for candidate in trials.candidates:
        like = trials.like(candidate)
        scores = trials.scores.get(like.id)
        value, error = objective(scores, plan.tasks) if scores else (None, None)
        rows.append(
            {
                "id": candidate.id, "settings": dict(candidate.settings),
                "model": candidate.expression or f"candidates/{candidate.file}",
                "linear": candidate.expression is not None, "same_as": None if like is candidate else like.id,
                "error": trials.errors.get(like.id), "rank": rank.get(like.id), "objective": value, "stderr": error,
                "tasks": _bare(scores) if scores else {},
                "behind": asdict(behind(best, scores, plan.tasks)) if scores else None, "wins": wins.get(like.id),
            }
        )  # fmt: skip
    return rows


def _noise(rows: Rows, chances: Luck | None) -> dict[str, Any]:
    different = [r for r in rows if r["same_as"] is None and r["objective"] is not None]
    others = [r for r in different if r["rank"] != 1]
    within = sum(bool(r["behind"]["within_noise"]) for r in others)
    text = (
        f"{within} of {len(others)} other candidates are within noise of the winner (95 % interval of the difference, "
        "item by item)."
    )
    if chances:
        text += (
            f" Being the best of {len(different)} makes the winner's score on these items about "
            f"{100 * chances.optimism:.1f} points too high."
        )
    return {
        "models": len(different), "within": within, "optimism": chances.optimism if chances else None,
        "draws": chances.draws if chances else None, "text": text,
    }  # fmt: skip


def _tested(plan: SweepPlan, winner: Candidate, test: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every model of the test; the winner stands last there, and how far it is ahead of each."""
    scores = [{name: found[name] for name in plan.tasks} for found in map(scores_of, test["models"])]
    rows = []
    for model, found in zip(test["models"], scores, strict=True):
        name = model["name"]
        value, error = objective(found, plan.tasks)
        within = {n: {**task, **_interval(task)} for n, task in _bare(found).items()}
        role = name if name in ("winner", "base") else "standing" if name == STANDING else "beside"
        ahead = None if role == "winner" else dict(
            zip(("difference", "stderr", "paired"), difference(scores[-1], found, plan.tasks), strict=True)
        )  # fmt: skip
        made = {"winner": winner, "standing": plan.standing}.get(role)
        text = f"candidates/{made.file}" if made and not made.expression else model["model"]
        rows.append(
            {
                "name": name, "role": role, "model": text, "objective": value, "stderr": error,
                **_between(value, within, plan.tasks), "tasks": within, "ahead": ahead,
            }
        )  # fmt: skip
    return rows


def _interval(task: Mapping[str, Any]) -> dict[str, float | None]:
    low, high = Score(task["accuracy"], task["stderr"], task["n"]).interval or (None, None)
    return {"low": low, "high": high}


def _between(value: float, tasks: Mapping[str, Row], weights: Mapping[str, float]) -> dict[str, float | None]:
    """The interval of a weighted mean from those of its tasks (MOVER: Zou and Donner, 2008): as theirs, it has width
    where every item is right. None where a task has none."""
    if any(tasks[name]["low"] is None for name in weights):
        return {"low": None, "high": None}
    total = math.fsum(weights.values())
    below, above = (
        math.hypot(*(w / total * (tasks[n]["accuracy"] - tasks[n][end]) for n, w in weights.items()))
        for end in ("low", "high")
    )
    return {"low": max(0.0, value - below), "high": min(1.0, value + above)}


def _gap(best: Row, tested: Row) -> dict[str, float | None]:
    """The winner's objective where it was chosen minus where it was tested: optimism and the luck of both draws."""
    errors = (best["stderr"], tested["stderr"])
    error = None if None in errors else math.hypot(*errors)
    return {"difference": best["objective"] - tested["objective"], "stderr": error}


def _remarks(plan: SweepPlan, rows: Rows, winner: Candidate, noise: Row, gap: Row) -> list[str]:
    spread = "" if gap["stderr"] is None else f" ± {100 * gap['stderr']:.1f}"
    found = [
        noise["text"],
        f"Where it was chosen the winner scored {100 * gap['difference']:+.1f}{spread} points against its test: "
        "believe the test.",
    ]
    found += [f"{r['id']} failed: {r['error']}" for r in rows if r["error"] and r["same_as"] is None]
    if alike := sum(r["same_as"] is not None for r in rows):
        found.append(f"{alike} candidates are the same model as another, and were not evaluated twice.")
    if plan.standing is not None and plan.standing.key == winner.key:
        found.append("The winner is the merge as it stands.")
    edges = [axis.field for axis in plan.space.axes if _at_edge(axis, winner.settings[axis.field])]
    if edges:
        found.append(f"The winner lies at the edge of what was searched ({', '.join(edges)}): search further out.")
    return found


def _artefacts(rows: Rows, test: Row) -> list[str]:
    """Scores that tell of the form of answers and not of ability: of candidates (a few of them), and on the test."""
    found = [
        f"{row['id']}, {name}: {task['format']}"
        for row in rows
        for name, task in row["tasks"].items()
        if task["format"] and row["same_as"] is None
    ]
    more = [f"and {len(found) - _SHOWN} more such scores of candidates"] if len(found) > _SHOWN else []
    return [*found[:_SHOWN], *more, *(f"test: {line}" for line in (*formats(test), *endings(test)))]


def _at_edge(axis: Any, value: Any) -> bool:
    """Whether a number was the least or the greatest of several that were tried."""
    return bool(axis.ordered and len(axis.values) > 2 and value in (axis.values[0], axis.values[-1]))
