"""`auto` against single codecs at equal true bytes, what it says beforehand, and what looking costs.

    python bench/compress_auto.py > bench/results/compress_auto.md

Four matrices of 384 x 384 of one low-rank share (the last row: one of each share), relative squared error, data-free.
A dash: the codec does not fit into so many bytes.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from deltakit.compress.codec import Context, parse_codec
from deltakit.compress.plan.choice import parse_choice
from deltakit.compress.plan.forecast import by_codec, total_error
from deltakit.compress.plan.plan import Plan
from deltakit.compress.plan.planning import plan_compression, planner
from deltakit.delta.expression import Delta
from deltakit.delta.site import Site
from deltakit.errors import ResourceError
from support.spectra import delta_of, shared_delta

SIDE, COUNT = 384, 4
SHARES: list[float | str] = [0.9, 0.7, 0.4, 0, "one of each"]
BITS = (4, 2, 1.2, 0.5, 0.25)
SINGLE = ("svd_mixed", "group_quant", "sign", "lowrank")


def family(share: float | str) -> Delta:
    """A delta of `COUNT` matrices."""
    shares = [0.9, 0.7, 0.4, 0.0] if isinstance(share, str) else [share] * COUNT
    return delta_of([shared_delta((SIDE, SIDE), s, i) for i, s in enumerate(shares)])


def error(delta: Delta, plan: Plan, most: float) -> float:
    """The relative squared error of a plan carried out; infinity where it takes more than `most` bytes."""
    nbytes, lost, energy = 0, 0.0, 0.0
    for row in plan.covered:
        values = delta.rows(row.name, 0, row.shape[0])
        terms = parse_codec(row.codec).encode(values, Context(Site(row.name), row.spec, row.budget))
        made = sum((t.rows(0, row.shape[0]) for t in terms), np.zeros_like(values))
        nbytes += sum(t.nbytes for t in terms)
        lost += float(((made - values).astype(np.float64) ** 2).sum())
        energy += float((values.astype(np.float64) ** 2).sum())
    return lost / energy if nbytes <= most else float("inf")


def single(delta: Delta, codec: str, bits: float) -> float:
    """One codec for all."""
    ratio = None if parse_codec(codec).fixed else 32 / bits
    try:
        return error(delta, plan_compression(delta, parse_choice(codec), ratio=ratio), COUNT * SIDE**2 * bits / 8)
    except ResourceError:
        return float("inf")


def main() -> None:
    """Print the table."""
    print("# `auto` against single codecs\n\n`python bench/compress_auto.py`\n")
    print(f"| share | bits | auto | said | chosen | {' | '.join(SINGLE)} |\n|{'---|' * (5 + len(SINGLE))}")
    began, looked = 0.0, 0.0
    for share in SHARES:
        delta = family(share)
        began = time.process_time()
        plans = planner(delta, parse_choice("auto"), threads=1)
        looked += time.process_time() - began if share != SHARES[0] else 0.0  # the first one compiles
        for bits in BITS:
            plan = plans.plan(ratio=32 / bits)
            found = [single(delta, codec, bits) for codec in SINGLE]
            chosen = ", ".join(f"{c['matrices']} {c['codec']}" for c in by_codec(plan.forecasts))
            cells = " | ".join("-" if np.isinf(f) else f"{f:.4f}" for f in found)
            auto = error(delta, plan, COUNT * SIDE**2 * bits / 8)
            print(f"| {share} | {bits} | {auto:.4f} | {total_error(plan.forecasts):.4f} | {chosen} | {cells} |")
    million = (len(SHARES) - 1) * COUNT * SIDE**2 / 1e6
    print(f"\nLooking took {looked / million:.2f} CPU seconds per million parameters (matrices of {SIDE} x {SIDE}).")


if __name__ == "__main__":
    main()
