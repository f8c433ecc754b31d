"""How fast the dense codecs restore a model: one core, bfloat16 base plus delta to bfloat16.

    python bench/decode_speed.py [--size 2048] [--out bench/results/decode_speed.md]

`rows` is the term alone (float32 numbers), `restored` what reading base + delta gives: base read, delta decoded, added,
rounded. Both in MB of bfloat16 per second of processor time, the best of five; `encode` in seconds, the best of two.
Errors are squared, relative to the energy of a Gaussian delta.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from deltakit.compress.codec import Context, parse_codec
from deltakit.delta.applied import Applied
from deltakit.delta.expression import Delta, Entry, Part
from deltakit.delta.site import Site
from deltakit.tensors import Mapped, TensorSpec, as_bytes, from_float32, row_blocks

CODECS = (
    ("sign", 1.0), ("sign(scale='row')", 1.0), ("sign(zeros='keep') of half zeros", 1.0),
    ("group_quant(bits=1)", 0), ("group_quant(bits=2)", 0), ("group_quant(bits=3)", 0), ("group_quant(bits=4)", 0),
    ("group_quant(bits=8)", 0), ("group_quant", 2.0), ("group_quant", 4.0),
    ("dare", 1.0), ("dare(bits=2)", 1.0), ("dare(bits=8)", 1.0), ("dare(bits=16)", 1.0), ("dare(bits=4)", 0.25),
)  # fmt: skip


def best(call: Callable[[], Any], times: int = 5) -> float:
    """Seconds of processor time, the least; the first call, which may compile, does not count."""
    call()
    found = []
    for _ in range(times):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return min(found)


def line(text: str, bits: float, n: int) -> str:
    rng = np.random.default_rng(0)
    delta = (0.01 * rng.standard_normal((n, n))).astype(np.float32)
    if text.endswith(" of half zeros"):
        delta[rng.random((n, n)) < 0.5] = 0
    base, spec = from_float32(rng.standard_normal((n, n)).astype(np.float32), "BF16"), TensorSpec((n, n), "BF16")
    codec, ctx = (
        parse_codec(text.removesuffix(" of half zeros")),
        Context(Site("w"), spec, int(n * n * bits / 8) or None),
    )
    terms = codec.encode(delta, ctx)
    model = Applied(
        Mapped({"w": spec}, lambda _, lo, hi: as_bytes(base[lo:hi])),
        Delta({"w": Entry(spec, n, tuple(Part(1.0, term) for term in terms))}),
    )
    blocks, size = list(row_blocks(spec)), 2 * n * n / 1e6
    whole = sum((term.rows(0, n) for term in terms), np.zeros((n, n), np.float32))
    cells = [
        f"`{text}`",
        f"{8 * sum(term.nbytes for term in terms) / n**2:.3f}",
        f"{float(((whole - delta) ** 2).sum() / (delta**2).sum()):.4f}",
        f"{best(lambda: codec.encode(delta, ctx), 2):.2f}",
        f"{size / best(lambda: [term.rows(lo, hi) for term in terms for lo, hi in blocks]):.0f}",
        f"{size / best(lambda: [model.buffer('w', lo, hi) for lo, hi in blocks]):.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    lines = [line(text, bits, given.size) for text, bits in CODECS]
    text = f"""# Decoding speed of the dense codecs

{date.today()}, {platform.machine()}, numpy {np.__version__}, one core of a machine that others were using.
Made by `python {" ".join(sys.argv)}`. {given.size} x {given.size} Gaussian delta.

| codec | bits per parameter | error | encode, s | rows, MB/s | restored, MB/s |
|---|---|---|---|---|---|
{chr(10).join(lines)}

`dare` is unbiased and for that noisier than the delta itself. MB are of restored bfloat16.
"""
    print(text)
    if given.out:
        given.out.write_text(text)


if __name__ == "__main__":
    main()
