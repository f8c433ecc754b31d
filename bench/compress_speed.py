"""How long data-free svd_mixed takes, and how much of that the SVD: matrix by matrix, added up to whole models.

    python bench/compress_speed.py [--seven] [--out bench/results/compress_speed.md]
    python bench/compress_speed.py --family FOLDER     # beside it, one real run over FOLDER/base and FOLDER/ft0

Matrices are as a family of test models has them: 80 % of the energy in a power law of exponent 0.8 over n/8 directions,
20 % white. CPU seconds of one thread, the least of the repeats; a model's time on two cores is half the sum, since
tensors go to cores one by one. `full` is torch.linalg.svd in float32 in the place of ours, in the same codec.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deltakit.compress.codec import Context
from deltakit.compress.codecs.svd_mixed import SvdMixed
from deltakit.compress.fit.bands import parse_bands
from deltakit.delta.coding.factor import Factor
from deltakit.delta.measure.decompose import svd
from deltakit.delta.measure.iterate import right_vectors
from deltakit.delta.site import Site
from deltakit.delta.terms.lowrank import LowRank
from deltakit.tensors import TensorSpec

Shape = tuple[int, int]
ONE: dict[Shape, int] = {(2048, 2048): 44, (256, 2048): 44, (5632, 2048): 44, (2048, 5632): 22, (32000, 2048): 2}
SEVEN: dict[Shape, int] = {(4096, 4096): 128, (11008, 4096): 64, (4096, 11008): 32}


def delta(shape: Shape, seed: int = 0) -> Any:
    rng, rank = np.random.default_rng(seed), max(4, min(shape) // 8)
    falling = np.arange(1, rank + 1, dtype=np.float32) ** -0.8
    low = (rng.standard_normal((shape[0], rank), np.float32) * falling) @ rng.standard_normal(
        (rank, shape[1]), np.float32
    )
    noise = rng.standard_normal(shape, np.float32)
    return np.float32(7e-4) * (np.sqrt(0.8) * low / low.std() + np.sqrt(0.2) * noise).astype(np.float32)


def seconds(work: Callable[[], Any], repeats: int = 1) -> tuple[float, Any]:
    found, made = [], None
    for _ in range(repeats):
        start = time.thread_time()
        made = work()
        found.append(time.thread_time() - start)
    return min(found), made


def full(rows: Any, rank: int) -> Any:
    return torch.linalg.svd(torch.from_numpy(rows), full_matrices=False)[2][:rank].T


def ours(rows: Any, rank: int, asked: int) -> Any:
    """What the codec starts from, the right vectors: `asked` is the rank that it has to be ready for, `rank` what it
    keeps."""
    return right_vectors(torch.from_numpy(rows), max(rank, asked), lambda _: rank)[0]


def left_out(rows: Any, v: Any) -> float:
    """The squared error of the best matrix with these right vectors."""
    wide, span = torch.from_numpy(rows).double(), torch.linalg.qr(v.double())[0]
    return float((wide**2).sum() - ((wide @ span) ** 2).sum())


def measured(shapes: dict[Shape, int], bits: float, repeats: int) -> tuple[str, list[float]]:
    """A line per shape, and the sums over a model: the codec, its SVD, the full SVD."""
    lines, sums = [], [0.0, 0.0, 0.0]
    for shape, count in shapes.items():
        rows, spec, codec = delta(shape), TensorSpec(shape, "BF16"), SvdMixed()
        context = Context(Site("w"), spec, int(bits * spec.numel / 8))
        whole, terms = seconds(lambda c=context, r=rows: SvdMixed().encode(r, c), repeats)  # type: ignore[misc]
        rank, asked = terms[0].rank, codec._ranks(spec, context.budget, True)
        narrow, found = seconds(lambda r=rows, k=rank, a=asked: ours(r, k, a), repeats)  # type: ignore[misc]
        wide, _ = seconds(lambda r=rows, k=rank: svd(r, k), repeats)  # type: ignore[misc]
        peer, best = seconds(lambda r=rows, k=rank: full(r, k))  # type: ignore[misc]
        excess = left_out(rows, found) / left_out(rows, best) - 1
        same = whole - narrow + peer
        cells = [f"{shape[0]} x {shape[1]}", count, rank, *(f"{t:.2f}" for t in (narrow, wide, peer, whole, same))]
        lines.append([*cells, f"{same / whole:.1f}", f"{excess:.0e}"])
        sums = [a + count * t for a, t in zip(sums, (whole, narrow, peer), strict=True)]
        print("  ", *lines[-1], file=sys.stderr, flush=True)
    head = ["shape", "matrices", "rank", "SVD", "SVD float64", "full SVD", "svd_mixed"]
    head += ["svd_mixed, full SVD", "faster", "error over full - 1"]
    return table(head, lines), sums


def total(name: str, sums: list[float]) -> str:
    whole, narrow, peer = sums
    same = whole - narrow + peer
    return (
        f"{name}, all matrices (extrapolated: per-matrix times the number of matrices): {whole:.0f} CPU seconds, "
        f"**{whole / 120:.1f} minutes on two cores**; with the full SVD {same:.0f}, {same / 120:.1f} minutes: "
        f"{same / whole:.1f} times as long. The SVD alone: {narrow:.0f} against {peer:.0f}, {peer / narrow:.1f} times."
    )


def tenth(shape: Shape) -> str:
    """Rank 10 % of a large matrix, the SVD alone."""
    rows, rank = delta(shape), min(shape) // 10
    narrow, found = seconds(lambda: ours(rows, rank, rank))
    wide, _ = seconds(lambda: svd(rows, rank))
    peer, best = seconds(lambda: full(rows, rank))
    excess = left_out(rows, found) / left_out(rows, best) - 1
    return (
        f"{shape[0]} x {shape[1]}, rank {rank}: {narrow:.1f} s, in float64 {wide:.1f} s, full {peer:.1f} s; "
        f"{peer / narrow:.1f} times faster, error over the full one's - 1: {excess:.0e}."
    )


def decoding() -> str:
    """rows() of whole terms beside the matrix product alone."""
    lines = []
    for n, bands in ((2048, "8:1,3:16,2:473"), (4096, "8:2,3:32,2:968")):
        term = random_term(TensorSpec((n, n), "BF16"), parse_bands(bands))
        u, s, v = term.factors()
        right = np.ascontiguousarray((v * s).T)
        alone, _ = seconds(lambda a=u, b=right: a @ b, 7)  # type: ignore[misc]
        decoded, _ = seconds(lambda t=term, k=n: t.rows(0, k), 7)  # type: ignore[misc]
        lines.append([f"{n} x {n}, rank {term.rank}", f"{alone * 1e3:.0f} ms", f"{decoded * 1e3:.0f} ms",
                      f"{alone / decoded:.0%}", f"{2 * n * n / decoded / 1e6:.0f}"])  # fmt: skip
    return table(["term", "product alone", "rows()", "share", "MB/s of bf16"], lines)


def random_term(spec: TensorSpec, bands: Any) -> LowRank:
    """Random codes: decoding does not look at them."""
    rng = np.random.default_rng(0)
    pairs = []
    for bits, rank in bands:
        codes = [rng.integers(0, 1 << int(bits), (n, rank), dtype=np.uint8) for n in spec.shape]
        pairs.append((Factor.of(codes[0], bits), Factor.of(codes[1], bits)))
    return LowRank.packed(spec, pairs, np.full(sum(r for _, r in bands), 1e-3, np.float32))


def real(family: Path, ratio: float) -> str:
    """One run of the command over a family, two threads."""
    import subprocess

    with tempfile.TemporaryDirectory(dir=family) as folder:
        command = ["deltakit", "compress", str(family / "base"), str(family / "ft0"), "--codec", "svd_mixed",
                   "--ratio", f"{ratio:g}", "-o", f"{folder}/a.delta", "--threads", "2"]  # fmt: skip
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wall = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stderr)
    said = " ".join(["deltakit compress BASE TUNED", *command[4:8], "--threads 2"])
    return f"One real run, `{said}`: {wall:.0f} s of wall time."


def table(head: list[str], rows: list[list[Any]]) -> str:
    return "\n".join("| " + " | ".join(map(str, r)) + " |" for r in [head, ["---"] * len(head), *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bits", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--seven", action="store_true", help="the shapes of a 7 B model too (some minutes)")
    parser.add_argument("--family", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    SvdMixed().encode(delta((64, 64)), Context(Site("w"), TensorSpec((64, 64), "BF16"), 512))  # compiles
    one, sums = measured(ONE, given.bits, given.repeats)
    parts = [f"## A 1.1 B model at {given.bits:g} bits per parameter\n\n{one}\n\n{total('1.1 B', sums)}"]
    if given.family:
        parts[0] += "\n\n" + real(given.family, 16 / given.bits)
    if given.seven:
        seven, sums = measured(SEVEN, given.bits, 1)
        parts.append(f"## The shapes of a 7 B model, one CPU thread\n\n{seven}\n\n{total('7 B', sums)}")
        parts.append(f"## Rank 10 %\n\n{tenth((4096, 11008))}")
    parts.append(f"## Decoding, one thread\n\n{decoding()}")
    text = f"""# Compressing: speed

{date.today()}, {platform.machine()}, torch {torch.__version__}, numpy {np.__version__}. Made by
`OMP_NUM_THREADS=1 python {" ".join(sys.argv)}`. CPU seconds of one thread; the machine was shared, ratios count.

{chr(10).join(p + chr(10) for p in parts)}"""
    print(text)
    if given.out:
        given.out.write_text(text)


if __name__ == "__main__":
    main()
