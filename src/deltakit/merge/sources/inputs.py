"""What a merge reads: the base (or the model that stands in for it) and every model as a delta over it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from deltakit.checkpoint.dequantised import Dequantised, open_floats
from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import Checkpoint
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.adapter import adapter_delta, is_adapter, open_adapter
from deltakit.delta.applied import Applied
from deltakit.delta.difference import difference
from deltakit.delta.experts import Apart, Layout, Together, layout_of, packs
from deltakit.delta.expression import Delta, Entries, Entry, Lineage
from deltakit.delta.file.container import is_delta
from deltakit.delta.names import align
from deltakit.delta.open import Model, open_as_delta, open_model
from deltakit.errors import MismatchError, RecipeError
from deltakit.merge.method import Method
from deltakit.merge.plan.recipe import MergeRecipe, ModelItem, methods_of
from deltakit.merge.sources.heads import OFFER, Bearer, Heads, plan_heads
from deltakit.merge.sources.source import View
from deltakit.tensors import TensorMap

Opened: TypeAlias = tuple[Delta, tuple[Checkpoint, ...]]

__all__ = ["Inputs", "Member", "open_inputs"]


@dataclass(frozen=True)
class Member:
    """One model: its delta, weight and method. `key` (its name, else its fingerprint) keys its random masks."""

    label: str
    key: str
    weight: float
    method: Method
    delta: Delta
    source: str
    reads: tuple[Checkpoint, ...] = ()


@dataclass(frozen=True)
class Inputs:
    """The base's tensors and files, and the members in the order of their sums."""

    base: TensorMap
    base_source: str
    fingerprint: str
    sidecar: Sidecar
    members: tuple[Member, ...]
    stand_in: str = ""  # the model that stands in for a base that the recipe leaves out
    alone: bool = False  # the recipe names one model
    heads: Heads | None = None  # where only a body is merged: whose heads stay
    met: tuple[str, ...] = ()  # a line for each model whose names differ from the base's by a prefix
    reads: tuple[Checkpoint, ...] = ()  # beneath the base
    layout: Layout | None = None  # of the result's packed experts, where they are merged apart

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """The open checkpoints that are read: watched for changes, never written to."""
        return (*self.reads, *(c for m in self.members for c in m.reads if c not in self.reads))

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not read as it is stored."""
        found = [c.said for c in self.checkpoints if isinstance(c, Dequantised)]
        apart = ("packed experts are merged one by one, and packed again",) if self.layout else ()
        return (*dict.fromkeys(found), *self.met, *apart, *(self.heads.lines if self.heads else ()))

    def whole(self, merged: TensorMap, dtype: str | None = None) -> TensorMap:
        """The merged tensors as the result has them: with the heads that stay, experts packed as they were."""
        made = self.heads.result(merged, dtype) if self.heads else merged
        return Together(made, self.layout) if self.layout else made


def open_inputs(recipe: MergeRecipe) -> Inputs:
    """Open everything a recipe names; only headers and fingerprints are read.

    Raises RecipeError (parameters, weights, names), InputError (files) and MismatchError (models that do not fit the
    base, every tensor of every model at once).
    """
    methods = _checked(recipe)
    if recipe.base is not None:
        base = open_floats(recipe.base)
        models = [_model(item.model) for item in recipe.models]
        return _open_over(recipe, methods, Model(base, base.sidecar, recipe.base), models)
    found = [open_model(item.model, dequantise=True) for item in recipe.models]
    pivot = 0 if methods[0].reduce.needs == "pair" else _pivot(recipe.models, [m.tensors for m in found])
    return _open_over(recipe, methods, found[pivot], found)


def _open_over(recipe: MergeRecipe, methods: Sequence[Method], base: Model, models: Sequence[Model | None]) -> Inputs:
    """Every model over the base, or over the model that stands in for it; names that differ by a prefix meet."""
    known = fingerprint(base.tensors)
    layout = layout_of(base.tensors.specs) if _apart(recipe, methods, base, models) else None
    seen = base.tensors if layout is None else Apart(base.tensors, layout)
    bearers = [_bearer(i, m, base, seen) for i, m in zip(recipe.models, models, strict=True)]
    worn = [b for b in bearers if b is not None]
    heads = plan_heads(recipe.heads, seen, worn, named_base=recipe.base is not None) if recipe.heads else None
    openers = [
        partial(_over, i.model, base, known, seen, b, heads, m is base)
        for i, m, b in zip(recipe.models, models, bearers, strict=True)
    ]
    opened = _open_each(recipe.models, openers)
    made = _inputs(recipe, methods, base, known, opened)
    if heads is not None and heads.bearer is not None:
        layout = heads.bearer.layout
    met = tuple(line for b in worn if (line := _met(b)))
    return replace(made, base=seen, heads=heads, met=met, reads=_reads(base), layout=layout)


def _apart(recipe: MergeRecipe, methods: Sequence[Method], base: Model, models: Sequence[Model | None]) -> bool:
    """Whether packed experts must be taken apart: where some models have them packed and others not, and for methods
    that do more than add deltas up."""
    packed = [bool(packs(m.tensors.specs)) for m in (base, *models) if m is not None]
    if not any(packed):
        return False
    idle = all(step.idle for method in methods for step in (*method.each, *method.post))
    linear = idle and methods[0].reduce.coefficients([i.weight for i in recipe.models]) is not None
    return not all(packed) or not linear


def _checked(recipe: MergeRecipe) -> tuple[Method, ...]:
    """All that can be wrong before anything is opened."""
    if not recipe.models:
        raise RecipeError("a merge needs at least one model", remedy="list them under models:, or give --model")
    methods = methods_of(recipe)
    reduce, count = methods[0].reduce, len(recipe.models)
    reduce.check([item.weight for item in recipe.models])
    if reduce.needs == "base" and recipe.base is None:
        raise RecipeError(f"method {recipe.method!r} needs a base", remedy="name the parent of the models as base")
    if reduce.needs == "pair" and count != (1 if recipe.base else 2):
        raise RecipeError(
            f"method {recipe.method!r} takes two models, or a base and one; found {count} and "
            f"{'a' if recipe.base else 'no'} base",
            remedy="list two models without a base",
        )
    if reduce.needs == "one" and count != 1:
        raise RecipeError(f"method {recipe.method!r} takes one model, not {count}", remedy="list but one")
    if recipe.base is None and count < 2 and reduce.needs != "one":
        raise RecipeError("a merge without a base needs at least two models", remedy="list another model, or a base")
    if recipe.lambda_ != 1.0 and not reduce.scaled:
        raise RecipeError(f"lambda has no meaning for method {recipe.method!r}", remedy="leave it out")
    _check_names(recipe.models)
    return methods


def _check_names(items: Sequence[ModelItem]) -> None:
    names = [item.name for item in items if item.name]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise RecipeError(f"two models are named {', '.join(map(repr, twice))}", remedy="give each its own name")
    if "base" in names:
        raise RecipeError("no model can be named 'base'", remedy="the word means the base in vocabulary:")


def _open_each(items: Sequence[ModelItem], openers: Sequence[Callable[[], Opened]]) -> list[Opened]:
    """Every model's delta; mismatches of all of them in one error."""
    found, problems, remedy = [], list[str](), ""
    for item, opened in zip(items, openers, strict=True):
        try:
            found.append(opened())
        except MismatchError as wrong:
            remedy = remedy or wrong.remedy
            problems += [f"{item.name or item.model}: {d}" for d in wrong.details or (wrong.message,)]
    if problems:
        raise MismatchError(
            f"the models do not fit together: {len(problems)} problem(s)", remedy=f"{remedy}; {OFFER}", details=problems
        )
    return found


def _model(text: str) -> Model | None:
    """A model; None for what is a delta by itself."""
    path = Path(text)
    if is_delta(path) or (path.is_dir() and is_adapter(path)):
        return None
    return open_model(text, dequantise=True)


def _reads(model: Model) -> tuple[Checkpoint, ...]:
    return (model.tensors,) if isinstance(model.tensors, Checkpoint) else ()


def _bearer(item: ModelItem, model: Model | None, base: Model, seen: TensorMap) -> Bearer | None:
    """A model as it is seen beside the base; None for a delta. Over packed experts that are taken apart a delta counts
    as the model that it makes."""
    apart = isinstance(seen, Apart)
    reads = _reads(model) if model is not None else ()
    if model is None and apart:
        delta, reads = _delta(item.model, base)
        made = Applied(base.tensors, delta)
        model = Model(made, made.sidecar, item.model)
    if model is None:
        return None
    layout = layout_of(model.tensors.specs) if apart else None
    tensors = Apart(model.tensors, layout) if layout else model.tensors
    names = align(tensors.specs, seen.specs)
    return Bearer(item.name or item.model, tensors, names, model.sidecar, fingerprint(model.tensors), reads, layout)


def _met(bearer: Bearer) -> str:
    """What was done to the names of a model."""
    changed = next(((old, new) for old, new in bearer.names.items() if old != new), None)
    return f"{bearer.label}: {changed[0]} is read as {changed[1]}, and so on throughout" if changed else ""


def _over(
    text: str, base: Model, known: str, seen: TensorMap, bearer: Bearer | None, heads: Heads | None, itself: bool
) -> Opened:
    """A model over the base, or over the one that stands in for it, as they are `seen`; over itself it is no change."""
    if bearer is None:
        delta, reads = _delta(text, base)
    else:
        delta, reads = _difference(seen, known, bearer, heads, itself), bearer.reads
    return (heads.only_body(delta, seen) if heads else delta), reads


def _delta(text: str, base: Model) -> Opened:
    """A stored delta or an adapter over the base."""
    assert isinstance(base.tensors, Checkpoint)
    if is_delta(Path(text)):
        return open_as_delta(text, base.tensors, dequantise=True), ()
    adapter = open_adapter(Path(text))
    return adapter_delta(adapter, base.tensors), (adapter.weights,)


def _difference(base: TensorMap, known: str, bearer: Bearer, heads: Heads | None, itself: bool) -> Delta:
    lineage = Lineage(known, bearer.fingerprint)
    if itself:
        entries = Entries(base.specs, lambda n: Entry(base.specs[n], base.specs[n].rows))
        return Delta(entries, (), lineage, bearer.sidecar)
    names = {new: old for old, new in bearer.names.items() if heads is None or new in heads.body}
    plain = heads is None and all(new == old for new, old in names.items())
    seen = bearer.tensors if plain else View(bearer.tensors, names)
    return replace(difference(base, seen, lineage=lineage), sidecar=bearer.sidecar)


def _pivot(items: Sequence[ModelItem], maps: Sequence[TensorMap]) -> int:
    """The smallest model, then the first by name: independent of the order in the recipe."""

    def rank(i: int) -> tuple[int, str]:
        return sum(s.numel for s in maps[i].specs.values()), items[i].name or fingerprint(maps[i])

    return min(range(len(items)), key=rank)


def _inputs(
    recipe: MergeRecipe, methods: Sequence[Method], base: Model, known: str, opened: Sequence[Opened]
) -> Inputs:
    named = recipe.base is not None
    members = []
    for item, method, (delta, reads) in zip(recipe.models, methods, opened, strict=True):
        key = item.name or delta.lineage.key
        members.append(Member(item.name or item.model, key, item.weight, method, delta, item.model, reads))
    _check_keys(members)
    if methods[0].reduce.needs == "pair" and not named:
        members = members[1:]
    if methods[0].symmetric:
        # the order of expressions, so that a linear merge and "BASE + a*A + b*B" agree in every bit
        members.sort(key=lambda m: (m.delta.lineage.key, m.delta.lineage.tuned, m.key))
    stand_in = "" if named else next(i.name or i.model for i in recipe.models if i.model == base.source)
    alone = len(recipe.models) == 1
    return Inputs(base.tensors, base.source, known, base.sidecar, tuple(members), stand_in, alone)


def _check_keys(members: Sequence[Member]) -> None:
    """The same model twice would draw the same mask twice, and shows a slip in the recipe."""
    for i, member in enumerate(members):
        for other in members[:i]:
            if member.key == other.key:
                raise RecipeError(
                    f"models {other.label!r} and {member.label!r} are the same ({member.key})",
                    remedy="leave one out, or give both a name: of their own",
                )
