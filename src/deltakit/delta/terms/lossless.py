"""Which lossless form a tensor takes: what is smallest on a sample of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deltakit.delta.coding.planes import CHUNK
from deltakit.delta.coding.ranged import EXPONENTS
from deltakit.delta.terms.changes import Changes
from deltakit.delta.terms.copy import Copy, shifted
from deltakit.delta.terms.exact import Exact
from deltakit.delta.terms.likeness import like
from deltakit.delta.terms.ranged import Ranged
from deltakit.delta.terms.raw import Raw
from deltakit.delta.terms.tied import Tied, base_bits, tuned_bits
from deltakit.tensors import Mapped, TensorMap, TensorSpec, row_blocks

__all__ = ["kept", "lossless"]

Make = Callable[[TensorMap, TensorMap, str, TensorSpec], Tied]

_FEW = 1 / 32  # the share of changed elements under which they may be listed
_STRANGE = 0.6  # of the tensor's own bytes: a difference that takes more is between strangers
_SLOWER = 1.1  # a list is read at the speed of memory: it may be larger by this factor


def lossless(base: TensorMap, tuned: TensorMap, name: str, spec: TensorSpec) -> Tied:
    """The shared rows of one tensor as the smallest term whose bits are the tuned ones; `spec` has their shape and the
    tuned dtype. Where the base's tensor of that name does not help, another that it resembles is taken."""
    made = _smallest(base, tuned, name, spec)
    if made.nbytes > _STRANGE * spec.nbytes:
        found = like(base, tuned, name, spec)
        copied = _copied(base, tuned, name, spec, 0, found).bind(base, name) if found else made
        return copied if copied.nbytes < made.nbytes else made
    return made


def kept(base: TensorMap | None, tuned: TensorMap, name: str, start: int) -> Raw | Copy:
    """The rows from `start` on, which the base lacks: a copy of others that it has, else the bits themselves."""
    spec = tuned.specs[name]
    spec = spec.with_rows(spec.rows - start)
    found = like(base, tuned, name, spec, start) if base is not None else None
    if base is not None and found is not None:
        copied = _copied(base, tuned, name, spec, start, found)
        if copied.nbytes < _STRANGE * spec.nbytes:
            return copied.bind(base, "")
    return Raw.of(tuned, name, start)


def _copied(base: TensorMap, tuned: TensorMap, name: str, spec: TensorSpec, start: int, found: tuple[str, int]) -> Copy:
    source, first = found
    there = Mapped({source: spec}, lambda _, lo, hi: tuned.buffer(name, start + lo, start + hi))
    return Copy.of(source, first, _smallest(shifted(base, source, first, spec), there, source, spec))


def _smallest(base: TensorMap, tuned: TensorMap, name: str, spec: TensorSpec) -> Tied:
    """A tensor of one chunk is coded in every form; of a larger one, its middle is."""
    changed = sum(_changed(base, tuned, name, lo, hi, spec.dtype) for lo, hi in row_blocks(spec))
    if not changed:
        return Exact.of(base, tuned, name, spec)
    forms: list[Make] = [Changes.of] if changed < _FEW * spec.numel else []
    forms += [Ranged.of] if spec.dtype in EXPONENTS else []
    forms += [Exact.of]
    count = max(1, CHUNK // max(1, spec.row_size))
    lo = max(0, (spec.rows - count) // 2)
    size = min(count, spec.rows)
    middle = _cut(base, name, lo, size), _cut(tuned, name, lo, size), name, spec.with_rows(size)
    tried = [make(*middle) for make in forms]
    best = min(range(len(forms)), key=lambda i: tried[i].nbytes * (1 if tried[i].kind == "changes" else _SLOWER))
    return tried[best].bind(base, name) if size == spec.rows else forms[best](base, tuned, name, spec)


def _changed(base: TensorMap, tuned: TensorMap, name: str, lo: int, hi: int, dtype: str) -> int:
    """How many elements of rows lo..hi differ."""
    first, second = base_bits(base, name, lo, hi, dtype), tuned_bits(tuned, name, lo, hi)
    return int(np.count_nonzero(first != second))


def _cut(source: TensorMap, name: str, lo: int, count: int) -> Mapped:
    """Some rows of one tensor as a map of their own."""
    spec = source.specs[name].with_rows(count)
    return Mapped({name: spec}, lambda _, a, b: source.buffer(name, lo + a, lo + b))
