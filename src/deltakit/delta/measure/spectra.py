"""Singular values of the matrices of a delta: how many directions a fine-tune really uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from deltakit.checkpoint.pump import Progress, silent
from deltakit.delta.expression import Delta
from deltakit.delta.measure.statistics import TensorStatistics, spectrum
from deltakit.delta.terms.base import Float32

__all__ = ["Spectrum", "spectra"]


@dataclass(frozen=True)
class Spectrum:
    """The singular values of one matrix, largest first, (min(rows, columns),) float32."""

    name: str
    values: Float32

    @property
    def effective_rank(self) -> float:
        """exp of the entropy of the normalised singular values (Roy and Vetterli, 2007); 0 for a matrix of zeros."""
        total = float(self.values.sum(dtype=np.float64))
        if total == 0.0:
            return 0.0
        shares = self.values.astype(np.float64) / total
        shares = shares[shares > 0]
        return float(np.exp(-(shares * np.log(shares)).sum()))

    def rank_at(self, energy: float) -> int:
        """The least rank that holds this share of the squared norm."""
        squares = np.cumsum(self.values.astype(np.float64) ** 2)
        return int(np.searchsorted(squares, energy * squares[-1])) + 1 if squares.size and squares[-1] else 0

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "name": self.name, "values": [float(v) for v in self.values], "effective_rank": self.effective_rank,
            "rank_at_90": self.rank_at(0.9), "rank_at_99": self.rank_at(0.99),
        }  # fmt: skip


def spectra(
    delta: Delta, statistics: list[TensorStatistics], count: int, progress: Progress = silent
) -> list[Spectrum]:
    """The spectra of the `count` matrices that changed most, relative to their base; largest change first.

    A full decomposition each, in float64: seconds for a matrix of some thousand rows.
    """
    matrices = [r for r in statistics if len(r.shape) >= 2 and r.elements and r.norm > 0 and min(r.shape) > 1]
    chosen = sorted(matrices, key=lambda r: (-r.relative, r.name))[:count]
    progress.start("spectra", len(chosen), "matrices")
    found = []
    try:
        for row in chosen:
            found.append(Spectrum(row.name, spectrum(delta, row.name)))
            progress.advance(1, row.name)
    finally:
        progress.stop()
    return found
