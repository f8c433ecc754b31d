"""A delta as an expression: for every tensor a lazy sum of scaled terms."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.terms.base import Float32, Term
from deltakit.errors import MismatchError, RecipeError
from deltakit.tensors import TensorMap, TensorSpec

__all__ = ["Delta", "Entries", "Entry", "Lineage", "Part", "add", "check_base", "scale"]


@dataclass(frozen=True)
class Part:
    """coef * term."""

    coef: float
    term: Term


@dataclass(frozen=True)
class Entry:
    """One tensor of a delta. `spec` is the fine-tune's; its first `shared` rows differ from the base's by the sum of
    `parts` (no parts: not at all); the rows behind them are `added`, kept as they are. A tensor that the base lacks has
    shared = 0."""

    spec: TensorSpec
    shared: int
    parts: tuple[Part, ...] = ()
    added: Term | None = None

    @property
    def shared_spec(self) -> TensorSpec:
        """The spec of the rows shared with the base."""
        return self.spec.with_rows(self.shared)

    @property
    def terms(self) -> tuple[Term, ...]:
        """All terms, the added rows last."""
        return tuple(p.term for p in self.parts) + ((self.added,) if self.added is not None else ())

    @property
    def bits(self) -> Callable[[int, int], memoryview] | None:
        """The tuned bytes of the shared rows, where they are known exactly: one term with bits, coefficient 1."""
        if len(self.parts) != 1 or self.parts[0].coef != 1.0:
            return None
        found: Callable[[int, int], memoryview] | None = getattr(self.parts[0].term, "bits", None)
        return found


class Entries(Mapping[str, Entry]):
    """A sorted map whose entries are made when asked for; their specs are free. With `keep` an entry is made once;
    without, it is made anew each time and nothing holds on to its payload."""

    def __init__(self, specs: Mapping[str, TensorSpec], make: Callable[[str], Entry], *, keep: bool = True) -> None:
        self.specs = {n: specs[n] for n in sorted(specs)}
        self._make, self._made, self._keep = make, dict[str, Entry](), keep

    def __getitem__(self, name: str) -> Entry:
        if name in self._made:
            return self._made[name]
        if name not in self.specs:
            raise KeyError(name)
        entry = self._make(name)
        if self._keep:
            self._made[name] = entry
        return entry

    def __iter__(self) -> Iterator[str]:
        return iter(self.specs)

    def __len__(self) -> int:
        return len(self.specs)


@dataclass(frozen=True)
class Lineage:
    """Where a delta comes from: fingerprints of base and tuned model, the name that keys its random masks, and notes
    (how it was made)."""

    base: str = ""
    tuned: str = ""
    name: str = ""
    note: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What random masks are keyed by: the name, else the fingerprint of the tuned model."""
        return self.name or self.tuned


@dataclass(frozen=True)
class Delta:
    """Entries for every tensor of the fine-tune, the base's tensors that it lacks, its lineage and its other files."""

    entries: Mapping[str, Entry]
    missing: tuple[str, ...] = ()
    lineage: Lineage = field(default_factory=Lineage)
    sidecar: Sidecar = field(default_factory=lambda: Sidecar({}))

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        """Name to the fine-tune's spec, sorted."""
        if isinstance(self.entries, Entries):
            return self.entries.specs
        return {n: self.entries[n].spec for n in sorted(self.entries)}

    @property
    def nbytes(self) -> int:
        """Payload bytes of all terms."""
        return sum(t.nbytes for e in self.entries.values() for t in e.terms)

    def bind(self, base: TensorMap) -> Delta:
        """The delta with numbers: every term that depends on the base gets it, when its tensor is first asked for."""

        def make(name: str) -> Entry:
            entry = self.entries[name]
            parts = tuple(replace(p, term=p.term.bind(base, name)) for p in entry.parts)
            added = entry.added.bind(base, "") if entry.added is not None else None  # no name: values, no difference
            return replace(entry, parts=parts, added=added)

        return replace(self, entries=Entries(self.specs, make))

    def rows(self, name: str, lo: int, hi: int) -> Float32:
        """The difference in rows lo..hi of the shared rows, float32 (hi-lo, row_size)."""
        entry = self.entries[name]
        return total(entry.parts, lo, hi, entry.spec.row_size)

    def map(self, change: Callable[[str, Entry], Entry]) -> Delta:
        """A delta whose entries are changed lazily, each time they are asked for; specs stay."""
        return replace(self, entries=Entries(self.specs, lambda n: change(n, self.entries[n]), keep=False))


def total(parts: Sequence[Part], lo: int, hi: int, row_size: int) -> Float32:
    """The sum of scaled terms over rows lo..hi."""
    if not parts:
        return np.zeros((hi - lo, row_size), np.float32)
    out = _scaled(parts[0], lo, hi)
    for part in parts[1:]:
        out += _scaled(part, lo, hi)
    return out


def _scaled(part: Part, lo: int, hi: int) -> Float32:
    rows = part.term.rows(lo, hi)
    if part.coef != 1.0:
        return rows * np.float32(part.coef)
    return rows if rows.flags.writeable else rows.copy()


def scale(delta: Delta, coef: float) -> Delta:
    """coef * delta. Rows that the base lacks are kept as they are."""
    if not math.isfinite(coef):
        raise RecipeError(f"coefficient {coef} is not a finite number")

    def change(name: str, entry: Entry) -> Entry:
        if coef != 1.0 and entry.parts and not entry.spec.is_float:
            raise MismatchError(
                f"tensor {name!r} is {entry.spec.dtype}: an integer tensor that changed has no multiple"
            )
        return replace(entry, parts=tuple(Part(coef * p.coef, p.term) for p in entry.parts))

    return delta if coef == 1.0 else delta.map(change)


def add(deltas: Sequence[Delta], vocabulary: Delta | None = None) -> Delta:
    """The sum of deltas over one base, in the order of their lineage: the order they are named in does not matter.

    Where several of them add rows, `vocabulary` must say whose rows are kept. A tensor is missing only if all lack it.
    """
    ordered = sorted(deltas, key=lambda d: (d.lineage.key, d.lineage.tuned))
    if len(ordered) == 1:
        return ordered[0]
    check_addable(ordered, vocabulary)
    adder = vocabulary or next((d for d in ordered if adds_rows(d)), None)
    keeper = adder or ordered[0]
    names = sorted({n for d in ordered for n in d.specs})
    specs = {n: _sum_spec(n, ordered, keeper) for n in names}

    def make(name: str) -> Entry:
        owner = keeper if name in keeper.specs else next(d for d in ordered if name in d.specs)
        entry = owner.entries[name]
        parts = tuple(p for d in ordered if name in d.specs for p in d.entries[name].parts)
        return replace(entry, spec=specs[name], parts=parts)

    missing = sorted(set.intersection(*(set(d.missing) for d in ordered)))
    base = ordered[0].lineage.base
    # A sum speaks with the base's tokenizer and config, unless one of its deltas brings a vocabulary of its own.
    return Delta(Entries(specs, make), tuple(missing), Lineage(base=base), adder.sidecar if adder else Sidecar({}))


def _sum_spec(name: str, deltas: Sequence[Delta], keeper: Delta) -> TensorSpec:
    owner = keeper if name in keeper.specs else next(d for d in deltas if name in d.specs)
    return owner.specs[name]


def adds_rows(delta: Delta) -> list[str]:
    """The tensors of which a delta has rows that the base lacks."""
    return [n for n, s in delta.specs.items() if delta.entries[n].shared < s.rows]


def check_addable(deltas: Sequence[Delta], vocabulary: Delta | None) -> None:
    """All tensors whose shapes disagree, listed at once; added rows need an owner."""
    problems = []
    for name in sorted({n for d in deltas for n in d.specs}):
        shapes = {d.specs[name].shape: None for d in deltas if name in d.specs}
        adders = [d for d in deltas if name in d.specs and d.entries[name].shared < d.specs[name].rows]
        if len({s[1:] for s in shapes}) > 1:
            problems.append(f"{name}: shapes {', '.join(str(list(s)) for s in shapes)}")
        elif vocabulary is None and len(adders) > 1:
            problems.append(f"{name}: {len(adders)} of the deltas add rows ({', '.join(str(list(s)) for s in shapes)})")
        problems += _integers(name, [d.entries[name] for d in deltas if name in d.specs])
    if problems:
        raise MismatchError(
            "the deltas cannot be added as they are",
            remedy="use a merge recipe with a `vocabulary:` choice (base, or the name of one model)",
            details=problems,
        )


def _integers(name: str, entries: Sequence[Entry]) -> list[str]:
    """Integers have no arithmetic: at most one of the deltas may change such a tensor."""
    changed = [e for e in entries if e.parts and not e.spec.is_float]
    return [f"{name}: {len(changed)} of the deltas change this {changed[0].spec.dtype} tensor"] if changed[1:] else []


def check_base(delta: Delta, fingerprint: str, base: str) -> None:
    """Law 8: a delta applies only to the base whose fingerprint it holds."""
    if delta.lineage.base and delta.lineage.base != fingerprint:
        raise MismatchError(
            f"this delta belongs to another base: it holds {delta.lineage.base}, {base} is {fingerprint}",
            remedy="name the base that the delta was extracted against",
        )
