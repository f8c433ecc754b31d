"""The merged model as one lazy delta over the base: an expression where the method is linear, else computed rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from deltakit.checkpoint.pump import Progress
from deltakit.delta.applied import Applied
from deltakit.delta.expression import Delta, Entries, Entry, Lineage, Part
from deltakit.delta.terms.base import Term
from deltakit.delta.terms.ref import Ref
from deltakit.delta.terms.sparse import Sparse
from deltakit.errors import MismatchError
from deltakit.merge.compute.arithmetic import FLOAT32, Arithmetic
from deltakit.merge.compute.calibration import Calibrator
from deltakit.merge.compute.pulls import BaseRows, Difference, ModelBits, ModelRows, Rounded, TermRows
from deltakit.merge.engine.fused import Fused
from deltakit.merge.engine.select import measured
from deltakit.merge.method import Group, Method
from deltakit.merge.reduce.slerp import Slerp
from deltakit.merge.sources.finite import Watched
from deltakit.merge.sources.inputs import Inputs, Member
from deltakit.merge.sources.vocabulary import Layout
from deltakit.sparsify.flow import Flow, Pull, flow_of, through
from deltakit.sparsify.pulled import Pulled
from deltakit.sparsify.trim import Trim
from deltakit.tensors import Mapped, TensorMap, TensorSpec, row_blocks

__all__ = ["Merged", "changes", "merge_deltas"]


@dataclass(frozen=True)
class Merged:
    """`delta` over the base; `coefficients` of the members where that is a mere sum, else None; `measures` are the
    passes over the inputs that may run ahead (else they run at the first read). `watched`: values that are not finite
    could be lost on the way, so the inputs are looked at."""

    inputs: Inputs
    delta: Delta
    coefficients: tuple[float, ...] | None
    measures: tuple[Callable[[Progress], None], ...]
    dtype: str | None
    watched: bool = False

    @property
    def base(self) -> TensorMap:
        """What the delta is over."""
        return self.inputs.base

    @property
    def tensors(self) -> TensorMap:
        """The merged model. With a dtype of its own it is computed in float32 and rounded once."""
        made = Fused(Applied(self.base, self.delta), self.dtype)
        return Watched(made, self.inputs) if self.watched else made


def merge_deltas(
    inputs: Inputs,
    layout: Layout,
    *,
    scale: float,
    seed: int,
    dtype: str | None,
    arithmetic: Arithmetic | None = None,
    calibrator: Calibrator | None = None,
    allow_nonfinite: bool = False,
) -> Merged:
    """Combine the members' deltas by their method into one. With an `arithmetic` given there are no short cuts:
    all is computed as the method says, in the order of the members."""
    method = inputs.members[0].method
    weights = tuple(m.weight for m in inputs.members)
    idle = all(s.idle for m in inputs.members for s in (*m.method.each, *method.post))
    coefficients = method.reduce.coefficients(weights) if idle and arithmetic is None else None
    if coefficients is not None:
        coefficients = tuple(scale * c for c in coefficients)
    exact = coefficients in ((1.0,), (0.0,))
    specs = layout.specs if dtype is None or exact else {n: _wide(s) for n, s in layout.specs.items()}
    flow = None
    if coefficients is None:
        flow = _flow(inputs, specs, method, scale, seed, arithmetic or FLOAT32, calibrator)
    whole = method.whole and all(s.idle for s in method.post)  # what lies behind makes a delta of it
    maker = _Maker(inputs, layout.keeper, specs, coefficients, flow, whole)
    maker.check_integers()
    lineage = Lineage(base=inputs.fingerprint)
    delta = Delta(
        Entries(specs, maker.entry), (), lineage, layout.keeper.delta.sidecar if layout.keeper else inputs.sidecar
    )
    measures = measured(inputs.base, flow.measures) if flow else ()
    watched = flow is not None and not allow_nonfinite and not _looks(method)
    return Merged(inputs, delta, coefficients, measures, dtype, watched)


def _looks(method: Method) -> bool:
    """Whether the method itself meets every value of every model, and refuses what is not finite."""
    steps = [s for s in method.each if not s.idle]
    return isinstance(method.reduce, Slerp) or (bool(steps) and isinstance(steps[0], Trim))


def _wide(spec: TensorSpec) -> TensorSpec:
    """Float tensors are summed and handed on in float32, so that the cast behind it is the only rounding."""
    return TensorSpec(spec.shape, "F32") if spec.is_float else spec


def _flow(
    inputs: Inputs,
    specs: Mapping[str, TensorSpec],
    method: Method,
    scale: float,
    seed: int,
    arithmetic: Arithmetic,
    calibrator: Calibrator | None,
) -> Flow:
    """The reduced and finished flow, over the float tensors that all models share with the base. Primitives behind the
    reducer work on deltas, also on that of a reducer that gives whole models."""
    shared = {n: specs[n].with_rows(s.rows) for n, s in inputs.base.specs.items() if s.is_float and n in specs}

    base = BaseRows(inputs.base, specs)
    flows = []
    for member in inputs.members:
        start = flow_of(member.delta, model=member.key, seed=seed, specs=shared)
        start = replace(start, calibrator=calibrator)
        if arithmetic != FLOAT32:
            start = replace(start, pull=Rounded(start.pull, arithmetic))
        flows.append(through(start, [s for s in member.method.each if not s.idle]))
    weights = tuple(m.weight for m in inputs.members)
    models = tuple(ModelRows(m.delta, base) for m in inputs.members)
    group = Group(
        tuple(flows), weights, base, scale, models, arithmetic, based=not inputs.stand_in, calibrator=calibrator
    )
    reduced = method.reduce.over(group)
    behind = [s for s in method.post if not s.idle]
    if behind and method.whole:
        reduced = replace(reduced, pull=Difference(reduced.pull, base))
    return through(replace(reduced, calibrator=calibrator), behind)


@dataclass(frozen=True)
class _Maker:
    """Makes the entries of a merged delta."""

    inputs: Inputs
    keeper: Member | None
    specs: Mapping[str, TensorSpec]
    coefficients: tuple[float, ...] | None
    flow: Flow | None
    whole: bool = False  # the flow holds the merged model, not a delta

    def entry(self, name: str) -> Entry:
        spec = self.specs[name]
        shared = self.inputs.base.specs[name].rows if name in self.inputs.base.specs else 0
        added = None
        if self.keeper is not None and shared < spec.rows:
            kept = self.keeper.delta.entries[name].added
            added = _as(kept, name, spec.with_rows(spec.rows - shared)) if kept is not None else None
        if name not in self.inputs.base.specs:
            return Entry(spec, 0, (), added)
        entries = [m.delta.entries[name] for m in self.inputs.members]
        changed = self.whole or any(e.parts for e in entries)
        make = self._parts if spec.is_float else self._integers
        return Entry(spec, shared, make(name, entries) if changed else (), added)

    def _parts(self, name: str, entries: list[Entry]) -> tuple[Part, ...]:
        spec = self.specs[name].with_rows(self.inputs.base.specs[name].rows)
        if self.flow is not None:
            make = self._model if self.whole else _pulled
            return (Part(1.0, make(spec, name, self.flow.pull)),)
        pairs = zip(self.coefficients or (), entries, strict=True)
        return tuple(Part(c * p.coef, _as(p.term, name, spec)) for c, e in pairs if c != 0.0 for p in e.parts)

    def _model(self, spec: TensorSpec, name: str, pull: Pull) -> Term:
        """The merged rows as a reference to a model that is computed: its bits are the merged model's."""
        return Ref(spec, name, self.inputs.base, Mapped({name: spec}, ModelBits(pull, spec)))

    def _integers(self, name: str, entries: list[Entry]) -> tuple[Part, ...]:
        """Integer tensors have no arithmetic: a lone model's bits, else all are the base's."""
        return entries[0].parts if self.coefficients == (1.0,) else ()

    def check_integers(self) -> None:
        """MismatchError with every integer tensor of every model that is not the base's, where that would be lost."""
        if self.coefficients == (1.0,):
            return
        base = self.inputs.base
        names = [n for n, s in self.specs.items() if n in base.specs and not s.is_float]
        problems = [
            f"tensor {name!r} is {member.delta.specs[name].dtype} and differs between the base and {member.label}"
            for member in self.inputs.members
            for name in names
            if name in member.delta.specs and (entry := member.delta.entries[name]).parts
            if _differs(base, name, entry)
        ]
        if problems:
            raise MismatchError(
                f"{len(problems)} integer tensor(s) differ between the models, and have no arithmetic",
                remedy="leave these models out, or take such tensors from one model (method passthrough)",
                details=problems,
            )


def _pulled(spec: TensorSpec, name: str, pull: Pull) -> Pulled:
    return Pulled(spec, name, pull, lambda: Sparse.nonzero(lambda lo, hi: pull(name, lo, hi), spec))


def _as(term: Term, name: str, spec: TensorSpec) -> Term:
    """The term, or its float32 rows where the result has another dtype: then its bits are of no use."""
    if term.spec.dtype == spec.dtype or not spec.is_float:
        return term
    return _pulled(spec, name, TermRows(term))


def _differs(base: TensorMap, name: str, entry: Entry) -> bool:
    """True if the tuned bits of the shared rows are not the base's, or cannot be known."""
    if entry.bits is None or base.specs[name].dtype != entry.spec.dtype:
        return True
    return any(entry.bits(lo, hi) != base.buffer(name, lo, hi) for lo, hi in row_blocks(entry.shared_spec))


def changes(merged: Merged) -> bool:
    """Whether the merged model differs from its base anywhere; reads up to the first difference."""
    base, tensors = merged.base, merged.tensors
    if dict(tensors.specs) != dict(base.specs):
        return True
    return any(
        tensors.buffer(name, lo, hi) != base.buffer(name, lo, hi)
        for name, spec in tensors.specs.items()
        if merged.delta.entries[name].parts
        for lo, hi in row_blocks(spec)
    )
