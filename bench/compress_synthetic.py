"""Codecs on synthetic deltas at equal true bytes: what each loses, and what each step of svd_mixed brings.

    python bench/compress_synthetic.py [--size 512] [--out bench/results/compress_synthetic.md]

A delta is a share of its energy in a power-law spectrum and the rest Gaussian. Errors are squared and relative to the
delta's energy; payloads count everything (codes, scales, singular values). One thread.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deltakit.compress.codec import Context, parse_codec
from deltakit.compress.fit.bands import fill, spread
from deltakit.compress.fit.grids import quantise
from deltakit.compress.fit.refit import carried, code_columns, fit_scales, refit, unit
from deltakit.delta.coding.factor import midrise
from deltakit.delta.measure.decompose import svd
from deltakit.delta.site import Site
from deltakit.delta.terms.lowrank import payload_bytes
from deltakit.tensors import TensorSpec

KINDS = ((0.9, 1.0), (0.7, 0.7), (0.4, 0.5), (0.0, 0.0))  # (share of energy in the spectrum, its power)
CODECS = ("lowrank", "sign", "svd_mixed(rounds=1)", "svd_mixed", "svd_mixed(rounds=6)")


def delta(n: int, share: float, power: float, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    u, v = (np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(2))
    low, flat = (u * np.arange(1, n + 1.0) ** -power) @ v.T, rng.standard_normal((n, n))
    mixed = np.sqrt(share) * low / np.linalg.norm(low) + np.sqrt(1 - share) * flat / np.linalg.norm(flat)
    return mixed.astype(np.float32)


def loss(rows: Any, u: Any, s: Any, v: Any) -> float:
    return float(((rows - (u * s) @ v.T) ** 2).sum() / (rows**2).sum())


def table(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(f"{c:.4f}" if isinstance(c, float) else str(c) for c in r) + " |" for r in lines)


def by_codec(n: int, bits: float) -> str:
    """Every codec at `bits` true bits per parameter (sign: the one bit it is)."""
    rows: list[list[Any]] = []
    spec, budget = TensorSpec((n, n), "BF16"), int(n * n * bits / 8)
    for text in CODECS:
        codec = parse_codec(text)
        if codec.fixed and bits != 1:
            continue
        terms = [codec.encode(delta(n, *kind), Context(Site("w"), spec, budget)) for kind in KINDS]
        losses = [float(((t.rows(0, n) - delta(n, *k)) ** 2).sum()) for t, k in zip(terms, KINDS, strict=True)]
        rows.append([text, *losses, round(8 * terms[0].nbytes / n**2, 4)])
    return table(["codec", *(f"share {s}" for s, _ in KINDS), "bits per parameter"], rows)


def by_step(n: int) -> str:
    """svd_mixed from plain rounding to what it does, one step after the other, at one true bit."""
    found: list[list[float]] = [steps(delta(n, *kind), n) for kind in KINDS]
    names = ["truncated, not rounded", "U and V rounded", "+ s refitted", "U = U* before rounding, s refitted"]
    names += ["+ errors carried over (rounds=1)", "+ V and U again (rounds=2)", "rounds=3 (default)"]
    return table(
        ["step", *(f"share {s}" for s, _ in KINDS)],
        [[n, *c] for n, c in zip(names, zip(*found, strict=True), strict=True)],
    )


def steps(rows: Any, n: int) -> list[float]:
    codes = spread(fill((n, n), n * n // 8, n))
    t = torch.from_numpy(rows)
    energy = float((rows.astype(np.float64) ** 2).sum())
    u, s, v = svd(rows, len(codes))
    found = [loss(rows, u, s, v)]
    right, left = scaled(v, codes), scaled(u, codes)
    found += [loss(rows, left, s, right)]
    found += [fit_scales(t, code_columns(u, codes), code_columns(v, codes))[1] / energy]
    right = code_columns(v, codes)
    wide = unit(right)
    target = torch.linalg.solve(wide.T @ wide, (t.double() @ wide).T).numpy()
    nothing = carried(target, torch.eye(len(codes), dtype=torch.float64), codes)
    found += [fit_scales(t, nothing, right)[1] / energy]
    for _ in range(3):
        left = refit(t, right, codes)
        found.append(fit_scales(t, left, right)[1] / energy)
        right = refit(t.T.contiguous(), left, codes)
    return found


def scaled(x: Any, codes: list[Any], group: int = 0) -> Any:
    """Columns rounded, with a scale each or one per group of rows."""
    out, step = np.empty_like(x), group or len(x)
    for k, bits in enumerate(codes):
        for lo in range(0, len(x), step):
            part, scale = quantise(x[lo : lo + step, k].astype(np.float64), bits)
            out[lo : lo + step, k] = scale * midrise(bits)[part]
    return out


def by_group(n: int) -> str:
    """float16 scales per group of a column, at equal true bytes: fewer ranks, better ranks."""
    rows: list[list[Any]] = []
    for group in (0, 256, 128, 64, 32):
        extra = 4 * -(-n // group) if group else 0  # bytes per rank, both sides
        bands = max(
            (fill((n, n), b, n) for b in range(n * n // 8, 0, -max(1, n // 16))),
            key=lambda f: fits(f, n, extra),
        )
        codes, line = spread(bands), []
        for kind in KINDS:
            d = delta(n, *kind)
            u, s, v = svd(d, len(codes))
            right = scaled(v, codes, group)
            target = np.linalg.lstsq(right.astype(np.float64), d.T.astype(np.float64), rcond=None)[0].T
            line.append(loss(d, scaled(target, codes, group), np.ones(len(codes)), right))
        rows.append([group or "whole column (s takes it in)", *line, len(codes)])
    return table(["group", *(f"share {s}" for s, _ in KINDS), "ranks"], rows)


def fits(bands: Any, n: int, extra: int) -> int:
    """Bytes used, -1 where the scales of the groups overrun."""
    used = payload_bytes((n, n), bands) + extra * sum(r for _, r in bands)
    return used if used <= n * n // 8 else -1


def by_size() -> str:
    rows: list[list[Any]] = []
    for n in (256, 512, 1024, 2048):
        d, spec, line = delta(n, 0.4, 0.5), TensorSpec((n, n), "BF16"), []
        for text in ("svd_mixed", "svd_mixed(rounds=1)", "lowrank", "sign"):
            start = time.perf_counter()
            parse_codec(text).encode(d, Context(Site("w"), spec, n * n // 8))
            line.append(round(time.perf_counter() - start, 2))
        start = time.perf_counter()
        torch.linalg.svd(torch.from_numpy(d), full_matrices=False)
        rows.append([n, *map(str, line), str(round(time.perf_counter() - start, 2))])
    return table(["n", "svd_mixed", "rounds=1", "lowrank", "sign", "torch.linalg.svd alone"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    n = given.size
    text = f"""# Codecs on synthetic deltas

{date.today()}, {platform.machine()}, one thread, torch {torch.__version__}, numpy {np.__version__}.
Made by `python {" ".join(sys.argv)}`. n = {n}; squared error relative to the delta's energy.

## At one true bit per parameter (1/16 of bf16), all scales counted

{by_codec(n, 1)}

## At two true bits per parameter

{by_codec(n, 2)}

## Small matrices: n = 160, one true bit

{by_codec(160, 1)}

## What each step of svd_mixed brings (one true bit)

{by_step(n)}

## Scales per group against one scale per column, at equal true bytes (U = U*, no errors carried over)

{by_group(n)}

## Seconds per matrix, share 0.4, one thread (another process may have shared the cores)

{by_size()}
"""
    print(text)
    if given.out:
        given.out.write_text(text)


if __name__ == "__main__":
    main()
