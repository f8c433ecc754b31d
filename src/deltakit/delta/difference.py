"""The delta between two checkpoints, as lazy references: nothing is read but headers and fingerprints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.expression import Delta, Entries, Entry, Lineage, Part
from deltakit.delta.terms.ref import Ref, Rest
from deltakit.errors import MismatchError
from deltakit.tensors import TensorMap, TensorSpec, row_blocks

__all__ = ["difference"]


def difference(
    base: TensorMap,
    tuned: TensorMap,
    *,
    name: str = "",
    note: Mapping[str, Any] | None = None,
    lineage: Lineage | None = None,
) -> Delta:
    """tuned - base. Names, trailing shapes and kinds of dtype must agree; all that does not is listed at once.

    Rows (or whole tensors) that the base lacks are kept as they are; tensors that the tuned model lacks are `missing`.
    `lineage`, where it is known, spares taking fingerprints (of views of models, say).
    """
    _check(base, tuned)
    lineage = lineage or Lineage(fingerprint(base), fingerprint(tuned), name, note or {})
    missing = tuple(n for n in base.specs if n not in tuned.specs)
    sidecar = getattr(tuned, "sidecar", Sidecar({}))
    return Delta(Entries(tuned.specs, lambda n: _entry(base, tuned, n)), missing, lineage, sidecar)


def _entry(base: TensorMap, tuned: TensorMap, name: str) -> Entry:
    spec = tuned.specs[name]
    if name not in base.specs:
        return Entry(spec, 0, (), Rest(spec, name, tuned, 0, base))
    shared = min(spec.rows, base.specs[name].rows)
    ref = Ref(spec.with_rows(shared), name, base, tuned)
    parts = () if not spec.is_float and _equal(base, ref) else (Part(1.0, ref),)
    rest = Rest(spec.with_rows(spec.rows - shared), name, tuned, shared, base) if shared < spec.rows else None
    return Entry(spec, shared, parts, rest)


def _equal(base: TensorMap, ref: Ref) -> bool:
    """Whether an integer tensor is the base's: it has no arithmetic, so one that did not change is no part of a sum."""
    return all(ref.bits(lo, hi) == base.buffer(ref.name, lo, hi) for lo, hi in row_blocks(ref.spec))


def _check(base: TensorMap, tuned: TensorMap) -> None:
    if not set(base.specs) & set(tuned.specs):
        raise MismatchError(
            "the two models share no tensor name", remedy="check that both are of one architecture and layout"
        )
    problems = [
        f"{n}: base {_say(base.specs[n])}, tuned {_say(s)}"
        for n, s in tuned.specs.items()
        if n in base.specs and not _fits(base.specs[n], s)
    ]
    if problems:
        raise MismatchError(
            f"{len(problems)} tensor(s) of the tuned model do not fit the base",
            remedy="a delta needs the true parent; only the leading dimension (vocabulary) may differ",
            details=problems,
        )


def _fits(base: TensorSpec, tuned: TensorSpec) -> bool:
    same_kind = base.dtype == tuned.dtype or (base.is_float and tuned.is_float)
    return same_kind and len(base.shape) == len(tuned.shape) and base.shape[1:] == tuned.shape[1:]


def _say(spec: TensorSpec) -> str:
    return f"{list(spec.shape)} {spec.dtype}"
