"""Ways to the leading singular vectors of one matrix: time, and how much more energy is left out than need be.

    python bench/svd_routes.py [--size 2048] [--rank 490] [--out bench/results/svd_routes.md]

`deltakit` is `left_vectors`: a float32 Gram matrix, directions far above the others taken out in float64, float32
eigenvectors of the rest, float64 where that would not do. CPU seconds of one thread.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import scipy.linalg
import torch

from deltakit.delta.measure.decompose import left_vectors


def matrix(kind: str, n: int) -> Any:
    g = torch.Generator().manual_seed(1)
    rank, power = (n, float(kind.split()[1])) if kind.startswith("power") else (n // 8, 0.8)
    low = (torch.randn(n, rank, generator=g) * torch.arange(1, rank + 1).float() ** -power) @ torch.randn(
        rank, n, generator=g
    )
    flat = torch.randn(n, n, generator=g) / n
    if kind.startswith("power"):
        return low / low.norm()
    if kind == "white + one outlier":
        return flat + 3 / n * torch.randn(n, 1, generator=g) @ torch.randn(1, n, generator=g)
    return flat if kind == "white" else 0.8**0.5 * low / low.norm() + 0.2**0.5 * flat


def full(d: Any, k: int) -> Any:
    return torch.linalg.svd(d, full_matrices=False)[0][:, :k]


def gram(dtype: Any) -> Callable[[Any, int], Any]:
    def run(d: Any, k: int) -> Any:
        wide = d.to(dtype)
        return torch.linalg.eigh(wide @ wide.T)[1][:, -k:]

    return run


def subset(d: Any, k: int) -> Any:
    """Only the wanted eigenvectors (LAPACK's dsyevr)."""
    wide = d.double().numpy()
    return torch.from_numpy(scipy.linalg.eigh(wide @ wide.T, subset_by_index=(len(d) - k, len(d) - 1), driver="evr")[1])


def chebyshev(*degrees: int) -> Callable[[Any, int], Any]:
    """Block iteration with Chebyshev filters of these degrees, in float32."""

    def run(d: Any, k: int) -> Any:
        g = d @ d.T
        basis = torch.linalg.qr(g @ torch.randn(len(g), k + k // 16, generator=torch.Generator().manual_seed(5)))[0]
        for degree in degrees:
            values, turn = torch.linalg.eigh(basis.T @ (g @ basis))
            half, top = float(values[0]) / 2, float(values[-1])
            first = sigma = half / (top - half)
            before = basis @ turn
            now = (g @ before - half * before) * (sigma / half)
            for _ in range(degree - 1):
                after = 1 / (2 / first - sigma)
                before, now = now, (g @ now - half * now) * (2 * after / half) - sigma * after * before
                sigma = after
            basis = torch.linalg.qr(now)[0]
        return basis @ torch.linalg.eigh(basis.T @ (g @ basis))[1][:, -k:]

    return run


ROUTES: dict[str, Callable[[Any, int], Any]] = {
    "torch.linalg.svd, float32": full, "Gram, eigh in float64": gram(torch.float64), "Gram, dsyevr, a subset": subset,
    "Gram, eigh in float32": gram(torch.float32), "deltakit": lambda d, k: left_vectors(d, k, lambda _: k)[0],
    "Chebyshev 3, 3": chebyshev(3, 3), "Chebyshev 6, 6": chebyshev(6, 6),
}  # fmt: skip
KINDS = ("80 % power 0.8, 20 % white", "white", "power 0.8", "power 1.0", "white + one outlier")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--rank", type=int, default=490)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    lines = [["route", *KINDS], ["---"] * (len(KINDS) + 1), *([name] for name in ROUTES)]
    for kind in KINDS:
        d = matrix(kind, given.size)
        wide = d.double()
        best = float(torch.linalg.eigvalsh(wide @ wide.T)[: -given.rank].sum())
        for line, route in zip(lines[2:], ROUTES.values(), strict=True):
            start = time.thread_time()
            u = route(d, given.rank)
            spent = time.thread_time() - start
            span = torch.linalg.qr(u.double())[0]
            more = float((wide**2).sum() - ((span.T @ wide) ** 2).sum()) / best - 1
            line.append(f"{spent:.2f} s, {more:.0e}")
            print("  ", kind, line[0], line[-1], file=sys.stderr, flush=True)
    made = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    text = f"""# Ways to the leading singular vectors

{date.today()}, torch {torch.__version__}. Made by `OMP_NUM_THREADS=1 python {" ".join(sys.argv)}`.
{given.size} x {given.size}, rank {given.rank}:
CPU seconds of one thread on a shared machine, and the energy left out over the least possible, minus 1.

{made}

At a quarter of all ranks the eigensolver that finds all of them is as quick as one that finds some, and as block
iteration, which is also less exact and, in float32, wrong where few directions stand far above the others. Iteration
pays where the rank is an eighth of the matrix or less.
"""
    print(text)
    if given.out:
        given.out.write_text(text)


if __name__ == "__main__":
    main()
