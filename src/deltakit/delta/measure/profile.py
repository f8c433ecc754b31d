"""What the matrices of a delta (or of a model) are like inside: spectrum, effective rank, energy at rank, zeros.

The singular values are roots of the eigenvalues of the smaller Gram matrix in float64, good to 1e-8 of the largest;
where all terms are factored they come from the factors, and no matrix is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltakit.checkpoint.pump import Progress, silent
from deltakit.delta.expression import Delta, Entry
from deltakit.delta.measure.spectra import Spectrum
from deltakit.delta.measure.threads import one_thread
from deltakit.delta.terms.matrix import matrix_shape
from deltakit.delta.terms.tied import Tied
from deltakit.errors import RecipeError
from deltakit.tensors import row_blocks

__all__ = ["Profile", "profiles"]

_RANKS = (1, 4, 16, 64, 256, 1024)
_NOISE = 1e-7  # of the largest singular value: what is below is rounding


@dataclass(frozen=True)
class Profile:
    """One matrix: its singular values and the share of exact zeros (None where the values come from factors, whose
    product has hardly any)."""

    spectrum: Spectrum
    shape: tuple[int, int]
    zeros: float | None

    def energy(self) -> dict[int, float]:
        """The share of the squared norm that the first 1, 4, 16, ... singular directions hold."""
        squares = np.cumsum(self.spectrum.values.astype(np.float64) ** 2)
        if not squares.size or not squares[-1]:
            return {}
        return {r: float(squares[r - 1] / squares[-1]) for r in _RANKS if r <= len(squares)}

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        norm = float(np.sqrt((self.spectrum.values.astype(np.float64) ** 2).sum()))
        energy = {str(r): share for r, share in self.energy().items()}
        about = {"shape": list(self.shape), "norm": norm, "zero_share": self.zeros, "energy_at_rank": energy}
        return {**about, **self.spectrum.as_dict(), "from_factors": self.zeros is None}


def profiles(delta: Delta, count: int, match: str = "*", progress: Progress = silent) -> list[Profile]:
    """The `count` largest changed matrices whose names match a pattern, largest first. RecipeError where their numbers
    need a base that the delta is not bound to, or nothing matches."""
    chosen = list(islice(_chosen(delta, match), count))
    if not chosen:
        raise RecipeError(f"no changed matrix has a name like {match!r}", remedy="see the names with --tensors")
    unbound = [n for n in chosen if any(isinstance(t, Tied) and t.base is None for t in delta.entries[n].terms)]
    if unbound:
        raise RecipeError(
            f"the numbers of {unbound[0]!r} ({len(unbound)} in all) are differences of bits from the base's",
            remedy="name the base with --base",
        )
    progress.start("spectra", len(chosen), "matrices")
    found = []
    try:
        for name in chosen:
            found.append(_profile(delta, name))
            progress.advance(1, name)
    finally:
        progress.stop()
    return found


def _chosen(delta: Delta, match: str) -> Iterator[str]:
    """Names of changed float matrices, largest first. An entry is looked at when its turn comes: nothing else of a
    delta file is read."""
    fitting = [n for n, s in delta.specs.items() if fnmatchcase(n, match) and s.is_float and len(s.shape) > 1]
    for name in sorted(fitting, key=lambda n: (-delta.specs[n].numel, n)):
        if delta.entries[name].parts and delta.entries[name].shared_spec.numel:
            yield name


def _profile(delta: Delta, name: str) -> Profile:
    entry = delta.entries[name]
    shape = matrix_shape(entry.shared_spec)
    with one_thread():
        if all(hasattr(part.term, "factors") for part in entry.parts):
            return Profile(Spectrum(name, _of_factors(entry, shape)), shape, None)
        values, zeros = _of_rows(delta, name, shape)
    return Profile(Spectrum(name, values), shape, zeros)


def _of_factors(entry: Entry, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Singular values of the sum of coef * U diag(s) Vᵀ, as many as the matrix has: those behind the rank are 0."""
    import torch

    from deltakit.delta.measure.decompose import product

    left, right = [], []
    for part in entry.parts:
        u, s, v = part.term.factors()  # type: ignore[attr-defined]
        left.append(u * (s * np.float32(part.coef)))
        right.append(v)
    first, second = (torch.from_numpy(np.concatenate(side, axis=1)) for side in (left, right))
    _, s, _ = product(first, second, min(shape))
    out = np.zeros(min(shape), np.float32)
    out[: len(s)] = s.numpy()
    return out


def _of_rows(delta: Delta, name: str, shape: tuple[int, int]) -> tuple[NDArray[np.float32], float]:
    """Singular values and the share of zeros, from the numbers."""
    gram, zeros = np.zeros((min(shape), min(shape))), 0
    if shape[0] < shape[1]:
        whole = np.concatenate(list(_blocks(delta, name, shape[1])))
        gram, zeros = whole @ whole.T, whole.size - int(np.count_nonzero(whole))
    else:
        for block in _blocks(delta, name, shape[1]):
            gram += block.T @ block
            zeros += block.size - int(np.count_nonzero(block))
    squares = np.maximum(np.linalg.eigvalsh(gram)[::-1], 0.0)
    values = np.sqrt(squares)
    values[values < _NOISE * values.max(initial=0.0)] = 0.0
    return values.astype(np.float32), zeros / max(1, shape[0] * shape[1])


def _blocks(delta: Delta, name: str, width: int) -> Iterator[NDArray[np.float64]]:
    """The matrix in blocks of rows, float64."""
    for lo, hi in row_blocks(delta.entries[name].shared_spec):
        yield delta.rows(name, lo, hi).reshape(-1, width).astype(np.float64)
