"""Trellis codes against uniform grids: what a Gaussian loses, and svd_mixed with and without them at equal true bytes.

    python bench/trellis.py [--size 512] [--out bench/results/trellis.md]

A delta is a share of its energy in a power-law spectrum and the rest Gaussian; errors are squared and relative.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from deltakit.compress.codec import Context
from deltakit.compress.codecs.svd_mixed import SvdMixed
from deltakit.compress.fit.grids import quantise
from deltakit.compress.fit.trellis import code_column
from deltakit.delta.coding.factor import midrise
from deltakit.delta.site import Site
from deltakit.tensors import TensorSpec

KINDS = ((0.9, 1.0), (0.7, 0.7), (0.4, 0.5), (0.0, 0.0))  # (share of energy in the spectrum, its power)
SHANNON = (1.0, 0.25, 0.0625, 0.015625)


def delta(n: int, share: float, power: float) -> Any:
    rng = np.random.default_rng(0)
    u, v = (np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(2))
    low, flat = (u * np.arange(1, n + 1.0) ** -power) @ v.T, rng.standard_normal((n, n))
    mixed = np.sqrt(share) * low / np.linalg.norm(low) + np.sqrt(1 - share) * flat / np.linalg.norm(flat)
    return mixed.astype(np.float32)


def table(head: list[str], rows: list[list[Any]]) -> str:
    return "\n".join("| " + " | ".join(map(str, r)) + " |" for r in [head, ["---"] * len(head), *rows])


def columns() -> str:
    rows = []
    for bits in (1, 2, 3):
        lost, spent = np.zeros(2), 0.0
        for seed in range(8):
            x = np.random.default_rng(seed).standard_normal(2048)
            codes, scale = quantise(x, bits)
            start = time.thread_time()
            found, fitted = code_column(x, bits)
            spent += time.thread_time() - start
            lost += [
                np.sum((x - scale * midrise(bits)[codes]) ** 2) / (x @ x),
                np.sum((x - fitted * found) ** 2) / (x @ x),
            ]
        rows.append(
            [bits, *(f"{100 * e / 8:.2f} %" for e in lost), f"{100 * SHANNON[bits]:.2f} %", f"{spent / 8e-3:.0f} ms"]
        )
    return table(["bits", "uniform grid", "trellis", "bound", "search, per column"], rows)


def codec(n: int) -> str:
    rows: list[list[Any]] = []
    for bits in (1, 2):
        for share, power in KINDS:
            made, d = [], delta(n, share, power)
            for trellis in (False, True):
                start = time.thread_time()
                context = Context(Site("w"), TensorSpec((n, n), "BF16"), bits * n * n // 8)
                term: Any = SvdMixed(trellis=trellis).encode(d, context)[0]
                spent = time.thread_time() - start
                begun = time.thread_time()
                back = term.rows(0, n)
                made.append(
                    (float(((back - d) ** 2).sum() / (d**2).sum()), term.nbytes, spent, time.thread_time() - begun)
                )
            (a, size, slow, _), (b, other, slower, read) = made
            assert size == other
            rows.append(
                [
                    bits,
                    share,
                    f"{a:.4f}",
                    f"{b:.4f}",
                    f"{100 * (b / a - 1):+.1f} %",
                    f"{slow:.1f} s",
                    f"{slower:.1f} s",
                    f"{read * 1e3:.0f} ms",
                ]
            )
            print("  ", *rows[-1], file=sys.stderr, flush=True)
    return table(
        ["bits per parameter", "share", "grids", "trellis", "", "grids, encode", "trellis, encode", "trellis, decode"],
        rows,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    code_column(np.ones(99), 2)  # compiles
    text = f"""# Trellis codes

{date.today()}. Made by `OMP_NUM_THREADS=1 python {" ".join(sys.argv)}`.
CPU seconds of one thread; the machine was shared.

## A Gaussian column of 2048 numbers: energy lost

{columns()}

## svd_mixed(trellis=True) against svd_mixed at equal true bytes: squared relative error, n = {given.size}

{codec(given.size)}
"""
    print(text)
    if given.out:
        given.out.write_text(text)


if __name__ == "__main__":
    main()
