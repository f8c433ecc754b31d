"""Everything about a sweep that can be settled and checked before a weight is read."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic

from deltakit.delta.open import open_model
from deltakit.errors import RecipeError
from deltakit.manifest import digest
from deltakit.merge.plan.native import plan_recipe
from deltakit.merge.plan.planned import Planned
from deltakit.pipeline.sweep import SAMPLERS
from deltakit.pipeline.sweep.candidate import Candidate, make_candidate
from deltakit.pipeline.sweep.recipe import ItemsRecipe, SweepRecipe, TestRecipe, merge_of
from deltakit.pipeline.sweep.sampler import Asked, Sampler
from deltakit.pipeline.sweep.space import Space, make_space
from deltakit.recipe.parameters import parse_checked
from deltakit.registry import check_keys
from deltakit_eval.named import read_named
from deltakit_eval.results import short_name
from deltakit_eval.work import Settings, Work, prepare

__all__ = ["STANDING", "SweepPlan", "plan_sweep", "preview"]

STANDING = "merge as it stands"
ROLES = ("base", STANDING, "winner")  # names in the test
_OURS = ("limit", "split", "seed")  # of Settings: said by select: and test:
_PLACES = ("line", "id", "doc_id", "split")  # of a document: where it stands, not what it asks


@dataclass(frozen=True)
class SweepPlan:
    """`linear`: linear candidates may be written as expressions; `standing`: the merge as it stands, where it is one
    by itself; `probe`: the settings that were planned in full; `tasks`: as results call them, with their weights."""

    recipe: SweepRecipe
    space: Space
    sampler: Sampler
    select: Work
    test: Work
    tasks: Mapping[str, float]
    planned: Planned
    linear: bool
    standing: Candidate | None
    notes: tuple[str, ...]

    @property
    def base(self) -> str | None:
        """The base of the merge."""
        return self.space.document.get("base")

    def candidate(self, settings: Asked, number: int) -> Candidate:
        """A checked candidate by its number from 1."""
        return make_candidate(self.space, settings, f"c{number:03d}", linear=self.linear)

    def compared(self, winner: Candidate | None, folder: Path) -> list[str]:
        """The operands that are scored on the test beside the winner: the base, the merge as it stands unless that is
        the winner, and what the recipe names. Merges that are no expressions are recipes in `folder`."""
        found = [f"base={self.base}"] if self.base else []
        if self.standing is not None and (winner is None or self.standing.key != winner.key):
            found.append(f"{STANDING}={self.standing.operand(folder)}")
        return [*found, *self.recipe.test.beside]

    def identity(self) -> dict[str, Any]:
        """All that decides the numbers: the recipe, the models by fingerprint, the items, the versions."""
        made = self.planned.manifest()
        return {
            "action": "sweep", "recipe": self.recipe.model_dump(mode="json", by_alias=True), "inputs": made["inputs"],
            "merge": dict(self.space.document), "versions": made["versions"], "select": self.select.identity(),
            "test": self.test.identity(),
        }  # fmt: skip


def plan_sweep(recipe: SweepRecipe) -> SweepPlan:
    """Check a sweep: fields, values, sampler, tasks, items, models. RecipeError, InputError and MismatchError as
    merging and evaluation raise them; no weights are read."""
    space = make_space(merge_of(recipe), recipe.search)
    sampler: Sampler = parse_checked(SAMPLERS, recipe.sampler)
    sampler.study(space)
    probe = _check_candidates(space, sampler)
    select, test = (_work(recipe, items) for items in (recipe.select, recipe.test))
    tasks = _weights(recipe, select)
    notes = _apart(select, test, recipe.select.same_items)
    for named in read_named([*(f"{name}=x" for name in ROLES), *recipe.test.beside])[len(ROLES) :]:
        open_model(named.text)  # what is missing is said now, not behind the search
    planned = plan_recipe(space.recipe(probe))
    merged = planned.merged
    linear = merged is not None and merged.coefficients is not None and not planned.notes
    linear = linear or make_candidate(space, probe, "c000").expression is None  # not linear here, may be elsewhere
    return SweepPlan(recipe, space, sampler, select, test, tasks, planned, linear, _standing(space, linear), notes)


def preview(plan: SweepPlan, out: str | None) -> dict[str, Any]:
    """What a sweep would do, JSON-able: candidates (those of a sampler that draws are not known yet), answers."""
    grid = plan.sampler.most is None
    candidates = [plan.candidate(s, i) for i, s in enumerate(plan.space.grid(), 1)] if grid else []
    models = len({c.key for c in candidates}) if grid else int(plan.sampler.most or 0)
    tested = 1 + len(plan.compared(None, Path()))
    return {
        "fields": list(plan.space.fields),
        "sampler": plan.recipe.sampler,
        "candidates": [
            {"id": c.id, "settings": dict(c.settings), "model": c.expression or "a lazy view of its recipe"}
            for c in candidates
        ],
        "models": models,
        "tasks": {name: {"weight": w, "select": n, "test": m} for (name, w), n, m in zip(
            plan.tasks.items(), _counts(plan.select), _counts(plan.test), strict=True)},
        "answers": models * plan.select.items + tested * plan.test.items,
        "notes": list(plan.notes),
        "output": out,
    }  # fmt: skip


def _counts(work: Work) -> list[int]:
    return [len(work.documents(name)) for name in work.tasks]


def _standing(space: Space, linear: bool) -> Candidate | None:
    """The merge as it stands; None where it lacks a field that is searched."""
    try:
        return make_candidate(space, space.standing(), "standing", linear=linear)
    except RecipeError:
        return None


def _check_candidates(space: Space, sampler: Sampler) -> Asked:
    """Every candidate of a grid, else every value of every field by itself, is a merge. The first one."""
    wrong: list[str] = []
    first: Asked | None = None
    for settings in space.grid() if sampler.most is None else _corners(space):
        first = settings if first is None else first
        try:
            make_candidate(space, settings, "c000")
        except RecipeError as error:
            wrong += error.details or [error.message]
    if first is None or wrong:
        listed = list(dict.fromkeys(wrong))
        shown = [*listed[:20], *([f"and {len(listed) - 20} more"] if len(listed) > 20 else [])]
        raise RecipeError("search: some candidates are no merges", details=shown, remedy="change the values searched")
    return first


def _corners(space: Space) -> Iterator[Asked]:
    """Each value or bound of each field, the other fields at their first."""
    options = [axis.values or ((int(axis.low), int(axis.high)) if axis.integer else (axis.low, axis.high))
               for axis in space.axes]  # fmt: skip
    at_first = {axis.field: values[0] for axis, values in zip(space.axes, options, strict=True)}
    yield at_first
    for axis, values in zip(space.axes, options, strict=True):
        yield from ({**at_first, axis.field: value} for value in values[1:])


def _work(recipe: SweepRecipe, items: ItemsRecipe) -> Work:
    """Tasks and settings of one set of items."""
    known = typing.get_type_hints(Settings)
    if fixed := sorted(recipe.settings.keys() & set(_OURS)):
        raise RecipeError(f"settings: {', '.join(fixed)} stand under select: and test:", remedy="move them there")
    check_keys(recipe.settings, [name for name in known if name not in _OURS], "settings:")
    for key, value in recipe.settings.items():
        try:
            pydantic.TypeAdapter(known[key]).validate_python(value, strict=True)
        except pydantic.ValidationError as wrong:
            problem = f"settings: {key}: {wrong.errors()[0]['msg']}, found {value!r}"
            raise RecipeError(problem, remedy="see deltakit eval --help") from None
    # a test is of the models as they would be written: in a mixed batch sums are not rounded to the stored dtype
    place = {"place": "swap"} if isinstance(items, TestRecipe) else {}
    settings = Settings(**{**place, **recipe.settings, **{key: getattr(items, key) for key in _OURS}})
    return prepare(list(recipe.tasks), settings, items.data)


def _weights(recipe: SweepRecipe, work: Work) -> dict[str, float]:
    """Weights by the names that results use. RecipeError for a group of tasks, and where less is better."""
    if len(work.tasks) != len(recipe.tasks):
        raise RecipeError(
            f"tasks: {', '.join(recipe.tasks)} are {len(work.tasks)} tasks, a group among them",
            remedy="name each task of the group",
        )
    for name, task in zip(recipe.tasks, work.tasks.values(), strict=True):
        if any(not better for better in _better(task)):
            raise RecipeError(f"tasks: less is better on {name!r}", remedy="choose by tasks where more is better")
    names = [name for name in work.identity()["tasks"]]
    return dict(zip(names, recipe.tasks.values(), strict=True))


def _better(task: Any) -> list[bool]:
    """Whether more is better, of the task's first metric: that which results name."""
    found = task.higher_is_better()
    return [bool(v) for v in list(found.values())[:1]]


def _apart(select: Work, test: Work, same_items: bool) -> tuple[str, ...]:
    """Notes about items that candidates are chosen by and tested on; RecipeError where a task has the same ones."""
    notes, same = [], []
    for name in select.tasks:
        chosen, tested = ({_key(doc) for doc in work.documents(name)} for work in (select, test))
        if both := len(chosen & tested):
            said = f"{short_name(name)}: {both} of {len(chosen)} items of the selection are items of the test"
            notes.append(f"WARNING: {said}; the winner's test score is optimistic")
            same += [said] if 2 * both >= min(len(chosen), len(tested)) else []
    if same and not same_items:
        raise RecipeError(
            "a winner chosen by the test's items has no honest test score",
            details=same,
            remedy="select: another split: or data: than the test's (or same_items: true, which the result will say)",
        )
    return tuple(notes)


def _key(document: Mapping[str, Any]) -> str:
    return digest({k: str(v) for k, v in sorted(document.items()) if k not in _PLACES})
