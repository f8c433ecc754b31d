"""How the task vectors of one base lie to each other: norms, cosines and signs, tensor by tensor, in one pass."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from deltakit.checkpoint.pump import Progress, silent
from deltakit.delta.expression import Delta
from deltakit.delta.terms.base import base_floats
from deltakit.errors import MismatchError
from deltakit.tensors import TensorMap, row_blocks

__all__ = ["Vectors", "add_up", "task_vectors", "vectors_as_dict"]


@dataclass(frozen=True)
class Vectors:
    """One tensor, or several added up. `gram` holds the inner products of the deltas (models x models), `both` and
    `same` the counts of elements where two deltas are both nonzero and where their signs are equal, too."""

    name: str
    base_square: float
    gram: np.ndarray[Any, np.dtype[np.float64]]
    both: np.ndarray[Any, np.dtype[np.int64]]
    same: np.ndarray[Any, np.dtype[np.int64]]

    def relative(self, i: int) -> float:
        """Norm of the i-th delta over the norm of the base."""
        return math.sqrt(self.gram[i, i] / self.base_square) if self.base_square else 0.0

    def cosine(self, i: int, j: int) -> float | None:
        """Of two deltas; None where one of them is zero."""
        scale = math.sqrt(self.gram[i, i] * self.gram[j, j])
        return float(self.gram[i, j]) / scale if scale else None

    def signs(self, i: int, j: int) -> float | None:
        """The share of equal signs where both are nonzero; None where they nowhere are."""
        return int(self.same[i, j]) / int(self.both[i, j]) if self.both[i, j] else None


def task_vectors(base: TensorMap, deltas: Sequence[Delta], progress: Progress = silent) -> list[Vectors]:
    """Every float tensor that all deltas share with the base, in name order; rows that one of them lacks stand apart.

    The deltas must be bound to `base`. MismatchError for rows of different sizes, all at once.
    """
    names = [n for n, s in base.specs.items() if s.is_float and all(n in d.specs for d in deltas)]
    wrong = [n for n in names if len({d.specs[n].shape[1:] for d in deltas}) > 1]
    if wrong:
        raise MismatchError("the models' tensors differ in shape", remedy="compare models of one base", details=wrong)
    progress.start("task vectors", sum(base.specs[n].nbytes for n in names))
    found = []
    try:
        for name in names:
            found.append(_one(base, deltas, name))
            progress.advance(base.specs[name].nbytes, name)
    finally:
        progress.stop()
    return found


def _one(base: TensorMap, deltas: Sequence[Delta], name: str) -> Vectors:
    count = len(deltas)
    gram, square = np.zeros((count, count)), 0.0
    both, same = np.zeros((count, count), np.int64), np.zeros((count, count), np.int64)
    shared = min(d.entries[name].shared for d in deltas)
    spec = deltas[0].specs[name]
    for lo, hi in row_blocks(spec.with_rows(shared)) if shared else ():
        rows = np.stack([d.rows(name, lo, hi).ravel() for d in deltas])
        wide = rows.astype(np.float64)
        gram += wide @ wide.T
        start = base_floats(base, name, lo, hi, spec.dtype).ravel().astype(np.float64)
        square += float(start @ start)
        signs = np.sign(rows).astype(np.int8)
        for i, j in combinations(range(count), 2):
            product = signs[i] * signs[j]
            both[i, j] += int(np.count_nonzero(product))
            same[i, j] += int(np.count_nonzero(product > 0))
    return Vectors(name, square, gram, both + both.T, same + same.T)


def add_up(name: str, found: Sequence[Vectors]) -> Vectors:
    """Several tensors as one long vector."""
    return Vectors(
        name, sum(v.base_square for v in found), sum((v.gram for v in found), np.zeros_like(found[0].gram)),
        sum((v.both for v in found), np.zeros_like(found[0].both)),
        sum((v.same for v in found), np.zeros_like(found[0].same)),
    )  # fmt: skip


def vectors_as_dict(labels: Sequence[str], found: Sequence[Vectors]) -> dict[str, Any]:
    """JSON-able: for every tensor and for the whole, relative norms and what every pair has in common."""
    rows = [_as_dict(labels, v) for v in found]
    return {"models": list(labels), "whole": _as_dict(labels, add_up("", found)) if found else None, "tensors": rows}


def _as_dict(labels: Sequence[str], v: Vectors) -> Mapping[str, Any]:
    pairs = [
        {"pair": [labels[i], labels[j]], "cosine": v.cosine(i, j), "sign_agreement": v.signs(i, j)}
        for i, j in combinations(range(len(labels)), 2)
    ]
    return {"name": v.name, "relative": [v.relative(i) for i in range(len(labels))], "pairs": pairs}
