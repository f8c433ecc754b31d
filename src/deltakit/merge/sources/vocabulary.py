"""Which tensors and rows a merged model has where models differ from the base: nothing is cropped in silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deltakit.errors import MismatchError, RecipeError
from deltakit.merge.sources.heads import OFFER
from deltakit.merge.sources.inputs import Inputs, Member
from deltakit.registry import did_you_mean
from deltakit.tensors import TensorSpec

__all__ = ["Layout", "plan_layout"]


@dataclass(frozen=True)
class Layout:
    """The specs of the result (shape with the kept rows, the models' common dtype), the model whose added rows are kept
    (None: nobody's), and a line for everything that is dropped."""

    specs: Mapping[str, TensorSpec]
    keeper: Member | None
    notes: tuple[str, ...]


def plan_layout(inputs: Inputs, vocabulary: str | None, dtype: str | None = None) -> Layout:
    """Settle names, shapes and dtypes from specs alone. `dtype` settles float dtypes that differ between models.

    Raises MismatchError with every problem at once, RecipeError for a vocabulary that names no model.
    """
    keeper = _keeper(inputs, vocabulary)
    problems = [p for m in inputs.members for p in _misfits(inputs, m)]
    if keeper is None and vocabulary is None:
        problems += [p for m in inputs.members for p in _added(inputs, m)]
    problems += [] if dtype else _dtypes(inputs)
    if problems:
        raise MismatchError(
            f"the models do not fit together: {len(problems)} problem(s)",
            remedy=_remedy(problems, inputs),
            details=problems,
        )
    specs = {n: _spec(inputs, keeper, n) for n in sorted({*inputs.base.specs, *(keeper.delta.specs if keeper else ())})}
    dropped = [f"{p}; dropped" for m in inputs.members if m is not keeper for p in _added(inputs, m)]
    return Layout(specs, keeper, tuple(dropped))


def _keeper(inputs: Inputs, vocabulary: str | None) -> Member | None:
    """Whose added rows are kept: a lone model keeps its own unless the recipe says otherwise."""
    if vocabulary is None:
        return inputs.members[0] if inputs.alone else None
    labels: dict[str, Member | None] = {m.label: m for m in inputs.members}
    labels.setdefault(inputs.stand_in or "base", None)
    if vocabulary not in labels:
        raise RecipeError(f"vocabulary {vocabulary!r} names no model", remedy=did_you_mean(vocabulary, sorted(labels)))
    return labels[vocabulary]


def _misfits(inputs: Inputs, member: Member) -> list[str]:
    """Tensors that a model lacks or has fewer rows of."""
    specs = member.delta.specs
    lacking = [f"{member.label}: lacks {n}" for n in inputs.base.specs if n not in specs]
    shorter = [
        f"{member.label}: {n} has {list(s.shape)}, fewer rows than the base's {list(inputs.base.specs[n].shape)}"
        for n, s in specs.items()
        if n in inputs.base.specs and s.rows < inputs.base.specs[n].rows
    ]
    return lacking + shorter


def _added(inputs: Inputs, member: Member) -> list[str]:
    """What a model has and the base lacks."""
    base = inputs.base.specs
    return [
        f"{member.label}: {n} has {s.rows - base[n].rows} rows that the base lacks"
        if n in base
        else f"{member.label}: {n} is not in the base"
        for n, s in member.delta.specs.items()
        if n not in base or s.rows > base[n].rows
    ]


def _dtypes(inputs: Inputs) -> list[str]:
    """Tensors whose dtype differs between models."""
    found = []
    for name in inputs.base.specs:
        dtypes = {m.delta.specs[name].dtype: None for m in inputs.members if name in m.delta.specs}
        if len(dtypes) > 1:
            found.append(f"{name}: the models' dtypes differ ({', '.join(sorted(dtypes))})")
    return found


def _spec(inputs: Inputs, keeper: Member | None, name: str) -> TensorSpec:
    if keeper is not None:
        return keeper.delta.specs[name]
    rows = inputs.base.specs[name].rows
    return inputs.members[0].delta.specs[name].with_rows(rows)


def _remedy(problems: Sequence[str], inputs: Inputs) -> str:
    """What helps with the kinds of problems found."""
    remedies = []
    if any("the base lacks" in p or "is not in the base" in p for p in problems):
        labels = dict.fromkeys([inputs.stand_in or "base", *(m.label for m in inputs.members)])
        remedies.append(f"set vocabulary: to the one whose rows are kept ({', '.join(labels)}); others' are dropped")
    if any(" rows " in p for p in problems):
        remedies.append(
            "or bring the models to one vocabulary, token by token: tokenizer: {source: base} (the base's tokens and "
            "padding) or {source: union} (every model's), with pad_to_multiple_of: N for a round number of rows"
        )
    if any("dtypes differ" in p for p in problems):
        remedies.append("set dtype: (bfloat16, float16 or float32)")
    if any(": lacks " in p or "fewer rows" in p or "is not in the base" in p for p in problems):
        remedies.append(OFFER)
    if any(": lacks " in p or "fewer rows" in p for p in problems):
        remedies.append("merge only fine-tunes of one base, with its names and shapes")
    return "; ".join(remedies)
