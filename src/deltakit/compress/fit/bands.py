"""How many ranks each precision gets within a number of bytes: each the bits that its singular value is worth."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.coding.factor import is_factor_code
from deltakit.delta.coding.trellis import TRELLIS
from deltakit.delta.terms.lowrank import Band, payload_bytes
from deltakit.errors import RecipeError
from deltakit.registry import did_you_mean
from deltakit.tensors import FLOAT_DTYPES

__all__ = ["LOSS", "allot", "clip", "expected", "least_bytes", "most", "parse_bands", "spread"]

Shape = tuple[int, int]

# The share of a rank's energy that is lost when both its sides have 0..8 bits, fitted to each other: measured on flat
# spectra, 128 of 512 ranks (bench/compress_synthetic.py). Falling spectra lose less, up to half.
LOSS = np.array([1.0, 0.45, 0.147, 0.045, 0.0137, 0.0040, 0.00115, 0.0003, 0.00007])


def parse_bands(text: str) -> tuple[Band, ...]:
    """((8, 2), (3, 32), (2, 968)) from "8:2,3:32,2:968"; 16 means F16 and 32 means F32. The first band holds the
    largest singular values."""
    bands = [_band(part.strip(), text) for part in text.split(",")]
    if not any(rank for _, rank in bands):
        raise RecipeError(f"bands {text!r} keep no rank", remedy='write bits:rank, e.g. "8:2,3:32,2:968"')
    return tuple(bands)


def allot(spectrum: NDArray[np.float64], shape: Shape, budget: int, least: int = 2) -> tuple[Band, ...]:
    """The bands with the least expected error in `budget` bytes: reverse water-filling. `spectrum` holds the squared
    singular values, descending; a rank gets `least` to 8 bits, or none.

    The bits of every rank minimise s² LOSS[bits] + price * bytes; of the two allocations at the price where the budget
    is crossed the dearer one serves the first ranks, as many as fit: so flat spectra, whose ranks all change at once,
    use the budget too.
    """
    choice = np.array([0, *range(least, 9)])
    cost = np.where(choice > 0, choice * sum(shape) / 8 + 2, 0.0)
    energy = np.asarray(spectrum, np.float64)[: min(shape)]

    def at(price: float) -> NDArray[np.int64]:
        found: NDArray[np.int64] = choice[np.argmin(energy[:, None] * LOSS[choice] + price * cost, axis=1)]
        return found

    if payload_bytes(shape, _runs(at(0.0))) <= budget:
        return _runs(at(0.0))
    dear, cheap = 0.0, float(energy[0])
    rich, poor = at(dear), at(cheap)
    for _ in range(60):
        price = np.sqrt(max(dear, 1e-30 * cheap) * cheap)
        found = at(price)
        if payload_bytes(shape, _runs(found)) <= budget:
            cheap, poor = price, found
        else:
            dear, rich = price, found
        if np.count_nonzero(rich != poor) <= 1:  # no price between them gives anything else
            break
    lo, hi = 0, len(energy)
    while lo < hi:
        middle = (lo + hi + 1) // 2
        fits = payload_bytes(shape, _runs(np.concatenate([rich[:middle], poor[middle:]]))) <= budget
        lo, hi = (middle, hi) if fits else (lo, middle - 1)
    return _runs(_topped(np.concatenate([rich[:lo], poor[lo:]]), energy, shape, budget, least))


def _topped(
    bits: NDArray[np.int64], energy: NDArray[np.float64], shape: Shape, budget: int, least: int
) -> NDArray[np.int64]:
    """What is left over widens single ranks by a bit, the best buy first; bits go on falling."""
    while True:
        room, best = budget - payload_bytes(shape, _runs(bits)), (0.0, -1, 0)
        for have in range(8):
            k = int((bits > have).sum())  # the first rank of so many bits, if there is one
            want = have + 1 if have else least
            if k == len(bits) or bits[k] != have or want <= have or (want - have) * sum(shape) > 8 * room:
                continue
            gain = float(energy[k] * (LOSS[have] - LOSS[want])) / (want - have)
            fits = payload_bytes(shape, _runs(np.concatenate([bits[:k], [want], bits[k + 1 :]]))) <= budget
            best = max(best, (gain, k, want)) if fits else best
        if best[1] < 0:
            return bits
        bits = bits.copy()
        bits[best[1]] = best[2]


def expected(spectrum: NDArray[np.float64], bands: Sequence[Band]) -> float:
    """The squared error that bands of bits leave of a spectrum (squared singular values, descending)."""
    known = [code if isinstance(code, int) else TRELLIS.get(code, 8) for code in spread(bands)]
    bits = np.array(known, np.int64)[: len(spectrum)]
    return float(spectrum[: len(bits)] @ LOSS[bits] + spectrum[len(bits) :].sum())


def _runs(bits: NDArray[np.int64]) -> tuple[Band, ...]:
    """The bands of bits per rank, most bits first."""
    counts = np.bincount(bits, minlength=9)
    return tuple((code, int(counts[code])) for code in range(8, 0, -1) if counts[code])


def most(bands: Callable[[int], Sequence[Band]], top: int, shape: Shape, budget: int, stored: str = "BF16") -> int:
    """The largest k of 0..top whose bands take at most `budget` bytes (0 when none does)."""
    return bisect_right(range(1, top + 1), budget, key=lambda k: payload_bytes(shape, bands(k), stored))


def clip(bands: Sequence[Band], rank: int) -> tuple[Band, ...]:
    """The first `rank` columns of the bands."""
    kept = []
    for code, size in bands:
        kept.append((code, min(size, rank)))
        rank -= kept[-1][1]
    return tuple(band for band in kept if band[1])


def spread(bands: Sequence[Band]) -> list[int | str]:
    """The code of every single column."""
    return [code for code, rank in bands for _ in range(rank)]


def least_bytes(shape: Shape) -> int:
    """One column of 2 bits: the smallest term that says anything."""
    return payload_bytes(shape, [(2, min(1, *shape))])


def _band(part: str, text: str) -> Band:
    code, colon, rank = part.partition(":")
    bits: int | str = {"16": "F16", "32": "F32"}.get(code, int(code) if code.isdigit() else code.upper())
    if not colon or not rank.isdigit() or not is_factor_code(bits):
        known = [str(b) for b in range(1, 9)] + ["16", "32", *FLOAT_DTYPES, *TRELLIS]
        hint = "" if is_factor_code(bits) else f"; {did_you_mean(code, known)}"
        raise RecipeError(
            f"bands {text!r}: cannot read {part!r}", remedy=f'write bits:rank, e.g. "8:2,3:32,2:968"{hint}'
        )
    return bits, int(rank)
