"""Codecs on synthetic deltas at equal true bytes: what each loses, and what each step of svd_mixed brings.

    python bench/compress_synthetic.py [--size 512] [--out bench/results/compress_synthetic.md]

A delta is a share of its energy in a power-law spectrum and the rest Gaussian. Inputs are correlated (a falling
spectrum), of log-normal sizes, one in 64 of them twenty times as large; codecs see the moments of 4096 inputs, and
errors are those of the outputs for 4096 others. Errors are squared, relative to leaving the delta out; payloads count
everything (codes, scales, zeros, singular values). One thread.
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

from deltakit.compress.codec import CODECS, Context, parse_codec
from deltakit.compress.fit.bands import spread
from deltakit.compress.fit.carry import carried, unrolled
from deltakit.compress.fit.grids import quantise
from deltakit.compress.fit.refit import Target, alternate, coded, unit
from deltakit.compress.fit.whiten import Inputs, whitened_svd
from deltakit.compress.hessian import Hessian
from deltakit.delta.coding.factor import midrise
from deltakit.delta.measure.decompose import svd
from deltakit.delta.site import Site
from deltakit.delta.terms.lowrank import payload_bytes
from deltakit.tensors import TensorSpec

KINDS = ((0.9, 1.0), (0.7, 0.7), (0.4, 0.5), (0.0, 0.0))  # (share of energy in the spectrum, its power)
HEAD = [f"share {s}" for s, _ in KINDS]
BITS = (4.0, 2.0, 1.0, 0.5, 0.25)
OTHERS = ("sign", "sign(scale='row')", "sign_lowrank", "group_quant", "dare")


def delta(n: int, share: float, power: float, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    u, v = (np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(2))
    low, flat = (u * np.arange(1, n + 1.0) ** -power) @ v.T, rng.standard_normal((n, n))
    mixed = np.sqrt(share) * low / np.linalg.norm(low) + np.sqrt(1 - share) * flat / np.linalg.norm(flat)
    return mixed.astype(np.float32)


def activations(n: int, rows: int, outlier: float = 20.0, power: float = 0.5) -> Any:
    rng = np.random.default_rng(1)
    turn = np.linalg.qr(rng.standard_normal((n, n)))[0]
    size = np.exp(0.5 * rng.standard_normal(n))
    size[rng.choice(n, -(-n // 64), replace=False)] *= outlier
    return (rng.standard_normal((rows, n)) * np.arange(1, n + 1.0) ** -power) @ turn.T * size


def moments(x: Any) -> Hessian:
    return Hessian(x.T @ x, 1, len(x))


def encode(text: str, rows: Any, bits: float, hessian: Hessian | None) -> Any:
    """(the matrix, true bits per parameter), or None where the codec does not go to that size."""
    codec, spec = parse_codec(text), TensorSpec(rows.shape, "BF16")
    budget = int(rows.size * bits / 8)
    if codec.least(spec) > budget + 64:  # sign is one bit and a scale
        return None
    if codec.fixed and codec.least(spec) < 0.9 * budget:
        return None
    terms = codec.encode(rows, Context(Site("w"), spec, None if codec.fixed else budget, hessian))
    made = sum((t.rows(0, len(rows)) for t in terms), np.zeros_like(rows))
    return made, 8 * sum(t.nbytes for t in terms) / rows.size


def table(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(f"{c:.4f}" if isinstance(c, float) else str(c) for c in r) + " |" for r in lines)


def by_codec(n: int, known: bool, samples: int = 4096) -> str:
    """Every codec at every size; errors of the outputs (known) or of the weights."""
    x = activations(n, samples + 4096)
    seen, other = moments(x[:samples]), moments(x[samples:]) if known else Hessian(np.eye(n))
    texts = [("svd_mixed", known), ("delta_come", known), ("lowrank", known)]
    texts += [("svd_mixed", False)] * known
    texts += [(text, known) for text in OTHERS if text.partition("(")[0] in CODECS.names()]
    rows: list[list[Any]] = []
    for bits in BITS:
        for text, aware in texts:
            line: list[Any] = []
            for kind in KINDS:
                d = delta(n, *kind)
                made = encode(text, d, bits, seen if aware else None)
                line += [] if made is None else [other.error(made[0] - d) / other.error(d)]
            if made is not None:
                rows.append([f"{bits:g}", text + ", data-free" * (known and not aware), *line, round(made[1], 3)])
    return table(["bits", "codec", *HEAD, "true bits"], rows)


def by_part(n: int) -> str:
    """8/3/2 bands at one true bit, moments known: neither whitening nor U*, one of them, both, then our own steps."""
    names = ["GPTQ on V and U", "+ U*", "+ whitening", "+ U* and whitening", "+ V and U again (3 rounds)"]
    names += ["+ bits by the spectrum (svd_mixed)"]
    found = []
    for outlier, power in ((20.0, 0.5), (1.0, 0.25)):
        gram = moments(activations(n, 8 * n, outlier, power))
        found += [parts(delta(n, *kind), gram) for kind in KINDS[:2]]
    head = [f"8:1,3:4,2:{115 * n // 512}", "outliers, 0.9", "outliers, 0.7", "even inputs, 0.9", "even inputs, 0.7"]
    return table(head, [[name, *line] for name, line in zip(names, zip(*found, strict=True), strict=True)])


def parts(d: Any, hessian: Hessian) -> list[float]:
    n, inputs = len(d), Inputs.of(hessian)
    codes = spread(((8, 1), (3, 4), (2, 115 * n // 512)))
    target, whole, made = Target(d, inputs), hessian.error(d), []
    white = torch.eye(len(codes), dtype=torch.float64)
    for whitened, fitted in ((False, False), (False, True), (True, False), (True, True)):
        u, s, v = whitened_svd(target.delta, inputs if whitened else None, len(codes))
        right = coded(v * s, white, codes, inputs)
        view = target.view(unit(right))
        left = coded(view.seen, view.gram, codes)
        if not fitted:  # the singular vectors themselves, their errors carried by the same moments
            length = torch.diagonal(view.gram).sqrt()
            root = torch.linalg.cholesky(view.gram / length / length[:, None] + 1e-6 * white)
            turned = (u * torch.linalg.vector_norm(v * s, dim=0) * length).T.flip(0).numpy()
            left = carried(turned, unrolled(root.flip(0, 1).contiguous()), codes[::-1])[:, ::-1].copy()
        made.append(weighed(d, target, left, right, hessian) / whole)
    _, _, v = whitened_svd(target.delta, inputs, len(codes))
    a, s, b = alternate(target, target.first(v, codes), codes, 3)
    made.append(hessian.error(d - (a * s) @ b.T) / whole)
    return [*made, hessian.error(encode("svd_mixed", d, 1, hessian)[0] - d) / whole]


def weighed(d: Any, target: Target, left: Any, right: Any, hessian: Hessian) -> float:
    s, _ = target.scales(left, right, target.view(unit(right)))
    return hessian.error(d - (left * s) @ right.T)


def by_samples(n: int) -> str:
    """One true bit, share 0.7: the error on inputs that were not seen, by how many were, and by the damping."""
    x, d, rows = activations(n, 36 * n), delta(n, 0.7, 0.7), []
    other = moments(x[32 * n :])
    damps = ("0.001", "0.01", "0.1", "1", "0")
    for count in (n // 4, n, 4 * n, 32 * n):
        made = [encode(f"svd_mixed(damp={damp})", d, 1, moments(x[:count]))[0] for damp in damps]
        rows.append([f"{count / n:g}", *(other.error(m - d) / other.error(d) for m in made)])
    return table(["samples per input", *damps[:-1], "by the samples (default)"], rows)


def by_round(n: int) -> str:
    rows: list[list[Any]] = []
    for known in (False, True):
        gram = moments(activations(n, 4096)) if known else None
        weigh = gram or Hessian(np.eye(n))
        for rounds in (1, 2, 3, 6):
            line = []
            for kind in KINDS:
                d = delta(n, *kind)
                line.append(weigh.error(encode(f"svd_mixed(rounds={rounds})", d, 1, gram)[0] - d) / weigh.error(d))
            rows.append(["known" if known else "white", rounds, *line])
    return table(["inputs", "rounds", *HEAD], rows)


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
        rank = max(k for k in range(1, n) if fits(n, k, extra))
        codes, line = spread([(8, 1), (3, 4), (2, rank)]), []
        for kind in KINDS:
            d = delta(n, *kind)
            _, _, v = svd(d, len(codes))
            right = scaled(v, codes, group)
            target = np.linalg.lstsq(right.astype(np.float64), d.T.astype(np.float64), rcond=None)[0].T
            left = scaled(target, codes, group)
            line.append(float(((d - left @ right.T) ** 2).sum() / (d**2).sum()))
        rows.append([group or "whole column (s takes it in)", *line, len(codes)])
    return table(["group", *HEAD, "ranks"], rows)


def fits(n: int, k: int, extra: int) -> bool:
    return payload_bytes((n, n), [(8, 1), (3, 4), (2, k)]) + extra * (k + 5) <= n * n // 8


def by_size() -> str:
    rows: list[list[Any]] = []
    for n in (256, 512, 1024, 2048):
        d, gram, line = delta(n, 0.4, 0.5), moments(activations(n, 2 * n)), []
        for text, known in (("svd_mixed", False), ("svd_mixed", True), ("delta_come", True), ("lowrank", False)):
            start = time.process_time()
            encode(text, d, 1, gram if known else None)
            line.append(round(time.process_time() - start, 2))
        start = time.process_time()
        torch.linalg.svd(torch.from_numpy(d), full_matrices=False)
        rows.append([n, *map(str, line), str(round(time.process_time() - start, 2))])
    head = ["n", "svd_mixed, data-free", "svd_mixed, data-aware", "delta_come, data-aware", "lowrank, data-free"]
    return table([*head, "torch.linalg.svd alone"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    n = given.size
    encode("svd_mixed", delta(64, 0.4, 0.5), 1, moments(activations(64, 256)))  # kernels compile
    text = f"""# Codecs on synthetic deltas

{date.today()}, {platform.machine()}, one thread, torch {torch.__version__}, numpy {np.__version__}.
Made by `python {" ".join(sys.argv)}`. n = {n}; squared errors relative to leaving the delta out; all bytes counted.

## Known inputs: errors of the outputs, for inputs that were not seen

{by_codec(n, True)}

`svd_mixed, data-free` and codecs that do not look at the inputs are measured by the outputs too.

## No inputs known: errors of the weights

{by_codec(n, False)}

## What whitening and U* bring (8/3/2 bands, one true bit, moments known and damped by the samples)

{by_part(n)}

The design page's figures for such an experiment, on two other spectra: 0.228 and 0.333 without either, 0.123 and 0.179
with U* alone, 0.126 and 0.170 with whitening alone, 0.120 and 0.162 with both.

## Rounds (one true bit)

{by_round(n)}

## How many samples, how much damping (one true bit, share 0.7, n = {n // 2}, inputs that were not seen)

{by_samples(n // 2)}

## Scales per group against one scale per column, at equal true bytes (data-free, U = U*, no errors carried over)

{by_group(n)}

## Seconds of processor time per matrix, share 0.4, one true bit, one thread (other processes shared the cores)

{by_size()}
"""
    print(text)
    if given.out:
        given.out.write_text(text)


if __name__ == "__main__":
    main()
