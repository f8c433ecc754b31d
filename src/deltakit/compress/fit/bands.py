"""How many ranks each precision gets: Delta-CoMe's 8/3/2, scaled to small matrices, within a number of bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deltakit.delta.coding.factor import is_code
from deltakit.delta.terms.lowrank import Band, payload_bytes
from deltakit.errors import RecipeError
from deltakit.registry import did_you_mean
from deltakit.tensors import FLOAT_DTYPES

__all__ = ["clip", "fill", "least_bytes", "most", "parse_bands", "spread"]

Shape = tuple[int, int]


def parse_bands(text: str) -> tuple[Band, ...]:
    """((8, 2), (3, 32), (2, 968)) from "8:2,3:32,2:968"; 16 means F16 and 32 means F32. The first band holds the
    largest singular values."""
    bands = [_band(part.strip(), text) for part in text.split(",")]
    if not any(rank for _, rank in bands):
        raise RecipeError(f"bands {text!r} keep no rank", remedy='write bits:rank, e.g. "8:2,3:32,2:968"')
    return tuple(bands)


def fill(shape: Shape, budget: int, rank: int) -> tuple[Band, ...]:
    """Bands of at most `rank` columns in `budget` bytes: max(1, n/2048) columns of 8 bits, n/128 of 3 bits where they
    fit (n the smaller side; 2 and 32 for n = 4096 as in the paper), and as many of 2 bits as fit. When all columns are
    in or no more fits, what is left widens them: from 2 to 3 bits, and where none of 2 is left, from 3 to 8. Less than
    one column of 2 bits is no band at all."""
    n = min(rank, *shape)
    r8 = most(lambda k: [(8, k)], min(n, max(1, min(shape) // 2048)), shape, budget)
    r3 = most(lambda k: [(8, r8), (3, k)], min(n - r8, min(shape) // 128), shape, budget)
    r2 = most(lambda k: [(8, r8), (3, r3), (2, k)], n - r8 - r3, shape, budget)
    n = r8 + r3 + r2
    r3 = max(r3, most(lambda k: [(8, r8), (3, k), (2, n - r8 - k)], n - r8, shape, budget))
    if r8 + r3 == n:
        r8 = max(r8, most(lambda k: [(8, k), (3, n - k)], n, shape, budget))
        r3 = n - r8
    r2 = n - r8 - r3
    return tuple(band for band in ((8, r8), (3, r3), (2, r2)) if band[1])


def most(bands: Callable[[int], Sequence[Band]], top: int, shape: Shape, budget: int, stored: str = "BF16") -> int:
    """The largest k of 0..top whose bands take at most `budget` bytes (0 when none does)."""
    lo, hi = 0, max(0, top)
    while lo < hi:
        middle = (lo + hi + 1) // 2
        if payload_bytes(shape, bands(middle), stored) <= budget:
            lo = middle
        else:
            hi = middle - 1
    return lo


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
    return payload_bytes(shape, [(2, 1)])


def _band(part: str, text: str) -> Band:
    code, colon, rank = part.partition(":")
    bits: int | str = {"16": "F16", "32": "F32"}.get(code, int(code) if code.isdigit() else code.upper())
    if not colon or not rank.isdigit() or not is_code(bits):
        known = [str(b) for b in range(1, 9)] + ["16", "32", *FLOAT_DTYPES]
        hint = "" if is_code(bits) else f"; {did_you_mean(code, known)}"
        raise RecipeError(
            f"bands {text!r}: cannot read {part!r}", remedy=f'write bits:rank, e.g. "8:2,3:32,2:968"{hint}'
        )
    return bits, int(rank)
