"""A sweep from its plan to its winner: rounds of candidates in one evaluation each, then one test of the winner."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deltakit.checkpoint import Progress, Staging, checksum, silent
from deltakit.delta.open import local_paths
from deltakit.errors import DeltakitError, InputError, ResourceError
from deltakit.manifest import digest, make_manifest, pretty_json
from deltakit.pipeline.sweep.candidate import Candidate, recipe_text, spelled
from deltakit.pipeline.sweep.files import write_pages
from deltakit.pipeline.sweep.objective import objective, scores_of
from deltakit.pipeline.sweep.plan import STANDING, SweepPlan, plan_sweep
from deltakit.pipeline.sweep.recipe import SweepRecipe
from deltakit.pipeline.sweep.result import make_result, ranked
from deltakit.pipeline.sweep.trials import Trials
from deltakit_eval.run import check_folders, evaluate
from deltakit_eval.work import Work

__all__ = ["RESULT", "sweep"]

RESULT = "sweep.json"


def sweep(
    recipe: SweepRecipe,
    out: Path,
    *,
    overwrite: bool = False,
    reuse: bool = False,
    cache: Path | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Run a sweep; what it found (see `result.make_result`), written to `out`.

    `out` is a folder (sweep.json, winner.yaml, the candidates' recipes, evaluations with every sample, a report), or
    the one file sweep.json where it ends in .json. No candidate is ever written as weights. A killed sweep, run again,
    goes on: finished rounds and answers are kept in the staging folder (answers in `cache`, if given); with `reuse` the
    finished result of the same sweep at `out`, a file, is taken as it is. A candidate that fails is reported, and the
    others go on. Raises what planning raises, and InputError where every candidate failed.
    """
    plan = plan_sweep(recipe)
    if reuse and (known := _finished(plan, out)):
        return known
    failed: InputError | None = None
    inputs = [p for m in plan.planned.named for p in local_paths(m)]
    check_folders([cache] if cache else [], inputs)
    with Staging(out, plan.identity(), overwrite, inputs=inputs) as staging:
        try:
            run = _Run(plan, staging, cache or staging.root / "answers", progress)
            result = run.whole()
            (staging.folder / RESULT).write_bytes(pretty_json(result))
            if out.suffix == ".json":
                staging.commit_file(RESULT)
            else:
                write_pages(result, staging.folder)
                _renamed(staging)
                staging.commit(
                    make_manifest("sweep", inputs=plan.planned.manifest()["inputs"], recipe=result["recipe"])
                )
        except InputError as error:  # leaving the block with it would throw the finished rounds away
            failed = error
    if failed:
        raise failed
    return result


def _finished(plan: SweepPlan, out: Path) -> dict[str, Any] | None:
    """The result at `out`, if it is of this very sweep."""
    try:
        found: dict[str, Any] = json.loads(out.read_bytes())
        return found if found["plan"] == digest(plan.identity()) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


@dataclass
class _Run:
    """One sweep in its staging folder."""

    plan: SweepPlan
    staging: Staging
    cache: Path
    progress: Progress
    trials: Trials = field(default_factory=Trials)

    def whole(self) -> dict[str, Any]:
        """All rounds, the choice, the test."""
        self._kept("begun.json", lambda: {"fields": list(self.plan.space.fields)})  # with a record, the folder stays
        study = self.plan.sampler.study(self.plan.space)
        number = 0
        while asked := study.ask():
            first = len(self.trials.candidates)
            fresh = [self.plan.candidate(s, first + i) for i, s in enumerate(asked, 1)]
            number += 1
            self._round(fresh, number)
            study.tell([self._objective(c) for c in fresh])
        order = ranked(self.trials, self.plan.tasks)
        if not order:
            first_error = next(iter(self.trials.errors.values()), "nothing was asked")
            raise InputError(f"every candidate failed; the first: {first_error}", remedy="try it with deltakit eval")
        winner = order[0]
        return make_result(self.plan, self.trials, order, self._test(winner))

    def _round(self, fresh: Sequence[Candidate], number: int) -> None:
        """Evaluate the candidates that are not known under other settings already."""
        new = []
        for candidate in fresh:
            self.trials.candidates.append(candidate)
            self._write(candidate)
            if self.trials.like(candidate) is candidate:
                new.append(candidate)
        if not new:
            return
        name = f"round-{number:03d}"
        try:
            found = self._evaluated(name, self._operands(new), self.plan.select)
            for candidate, model in zip(new, found["models"], strict=True):
                self._take(candidate, model)
        except ResourceError:
            raise
        except DeltakitError:
            self._apart(new, name)

    def _apart(self, new: Sequence[Candidate], name: str) -> None:
        """One by one, where a round together failed: the answers that are there are not computed again."""
        for candidate in new:
            if candidate.id in self.trials.scores:
                continue
            try:
                found = self._evaluated(f"{name}-{candidate.id}", self._operands([candidate]), self.plan.select)
                self._take(candidate, found["models"][0])
            except ResourceError:
                raise
            except DeltakitError as error:
                self.trials.errors[candidate.id] = f"{spelled(candidate.settings)}: {error.message}"

    def _take(self, candidate: Candidate, model: Any) -> None:
        found = scores_of(model)
        self.trials.scores[candidate.id] = {name: found[name] for name in self.plan.tasks}

    def _objective(self, candidate: Candidate) -> float | None:
        scores = self.trials.scores.get(self.trials.like(candidate).id)
        return None if scores is None else objective(scores, self.plan.tasks)[0]

    def _test(self, winner: Candidate) -> dict[str, Any]:
        """The winner, and what it is compared with, on the items of the test."""
        standing = self.plan.standing
        if standing is not None:
            self._write(standing)
        names = [*self.plan.compared(winner, self._folder), f"winner={winner.operand(self._folder)}"]
        return self._evaluated("test", names, self.plan.test)

    @property
    def _folder(self) -> Path:
        return self.staging.folder / "candidates"

    def _operands(self, candidates: Sequence[Candidate]) -> list[str]:
        return [f"{c.id}={c.operand(self._folder)}" for c in candidates]

    def _write(self, candidate: Candidate) -> None:
        said = f"candidate {candidate.id} of a sweep: {spelled(candidate.settings)}"
        said = f"the {STANDING}" if candidate is self.plan.standing else said
        self._folder.mkdir(exist_ok=True)
        (self._folder / candidate.file).write_text(recipe_text(candidate.document, said), encoding="utf-8")

    def _evaluated(self, name: str, operands: Sequence[str], work: Work) -> dict[str, Any]:
        """The evaluation of these models, from an earlier run where that finished it."""
        data = (self.plan.recipe.select if work is self.plan.select else self.plan.recipe.test).data

        def run() -> dict[str, Any]:
            tasks = list(self.plan.recipe.tasks)
            return evaluate(operands, tasks, work.settings, data=data, cache=self.cache, progress=self.progress)

        return self._kept(f"evaluations/{name}.json", run)

    def _kept(self, file: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        path = self.staging.folder / file
        if self.staging.journal.get(file) is None:
            path.parent.mkdir(exist_ok=True)
            raw = pretty_json(make())
            path.write_bytes(raw)
            self.staging.journal.add(file, file, 0, len(raw), checksum(raw))
        found: dict[str, Any] = json.loads(path.read_bytes())
        return found


def _renamed(staging: Staging) -> None:
    """Evaluations name candidates' recipes where they will lie; what marked the beginning goes."""
    (staging.folder / "begun.json").unlink()
    for path in sorted((staging.folder / "evaluations").glob("*.json")):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(str(staging.folder), str(staging.out)), encoding="utf-8")
