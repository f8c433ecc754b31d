"""What a delta is like: norms, changed share, spectra; streamed in row ranges."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from deltakit.checkpoint.pump import Progress, silent
from deltakit.delta.expression import Delta
from deltakit.delta.terms.base import Float32, base_floats
from deltakit.tensors import TensorMap, row_blocks

__all__ = [
    "Apart",
    "TensorStatistics",
    "apart",
    "delta_statistics",
    "spectrum",
    "summary",
]


@dataclass(frozen=True)
class TensorStatistics:
    """One tensor of a delta against its base. `relative` is the norm of the delta over the norm of the base (L2),
    `changed` the share of elements that differ, `largest` the largest magnitude."""

    name: str
    shape: tuple[int, ...]
    elements: int
    norm: float
    base_norm: float
    relative: float
    changed: float
    largest: float
    added_rows: int
    nonfinite: int

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


@dataclass(frozen=True)
class Apart:
    """What no norm says of two models: names that only one of them has, integer tensors that differ, and tensors
    where the second has fewer rows."""

    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    integers: tuple[str, ...]
    fewer_rows: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def apart(first: TensorMap, second: TensorMap) -> Apart:
    """Compare names, integer tensors and rows of two models."""
    both = [n for n in first.specs if n in second.specs]
    return Apart(
        tuple(n for n in first.specs if n not in second.specs),
        tuple(n for n in second.specs if n not in first.specs),
        tuple(n for n in both if not second.specs[n].is_float and first.buffer(n) != second.buffer(n)),
        tuple(n for n in both if second.specs[n].rows < first.specs[n].rows),
    )


def delta_statistics(base: TensorMap, delta: Delta, progress: Progress = silent) -> list[TensorStatistics]:
    """Statistics of every float tensor, in name order. `delta` must be bound to `base`."""
    specs = {n: s for n, s in delta.specs.items() if s.is_float}
    progress.start("statistics", sum(s.nbytes for s in specs.values()))
    found = []
    for name, spec in specs.items():
        found.append(_one(base, delta, name))
        progress.advance(spec.nbytes, name)
    progress.stop()
    return found


def _one(base: TensorMap, delta: Delta, name: str) -> TensorStatistics:
    entry = delta.entries[name]
    squares, base_squares, changed, largest, bad = 0.0, 0.0, 0, 0.0, 0
    for lo, hi in row_blocks(entry.shared_spec) if entry.shared else ():
        rows = delta.rows(name, lo, hi)
        finite = np.isfinite(rows)
        bad += rows.size - int(np.count_nonzero(finite))
        rows = np.where(finite, rows, np.float32(0))
        squares += _square(rows)
        base_squares += _square(base_floats(base, name, lo, hi, entry.spec.dtype))
        changed += int(np.count_nonzero(rows))
        largest = max(largest, float(np.abs(rows).max(initial=0.0)))
    count = entry.shared * entry.spec.row_size
    norm, base_norm = math.sqrt(squares), math.sqrt(base_squares)
    return TensorStatistics(
        name, entry.spec.shape, count, norm, base_norm, norm / base_norm if base_norm else 0.0,
        changed / count if count else 0.0, largest, entry.spec.rows - entry.shared, bad,
    )  # fmt: skip


def _square(rows: Float32) -> float:
    flat = rows.ravel().astype(np.float64)
    return float(np.dot(flat, flat))


def summary(rows: list[TensorStatistics]) -> dict[str, Any]:
    """The whole delta in one line of numbers; norms are over all tensors."""
    norm = math.sqrt(sum(r.norm**2 for r in rows))
    base = math.sqrt(sum(r.base_norm**2 for r in rows))
    count = sum(r.elements for r in rows)
    return {
        "tensors": len(rows),
        "parameters": count,
        "norm": norm,
        "base_norm": base,
        "relative": norm / base if base else 0.0,
        "changed": sum(r.changed * r.elements for r in rows) / count if count else 0.0,
        "largest": max((r.largest for r in rows), default=0.0),
        "added_rows": sum(r.added_rows for r in rows),
        "nonfinite": sum(r.nonfinite for r in rows),
    }


def spectrum(delta: Delta, name: str) -> Float32:
    """The singular values of one matrix of a delta, largest first (leading dimensions flattened)."""
    entry = delta.entries[name]
    values = delta.rows(name, 0, entry.shared).reshape(-1, entry.spec.shape[-1]).astype(np.float64)
    return np.linalg.svd(values, compute_uv=False).astype(np.float32)
