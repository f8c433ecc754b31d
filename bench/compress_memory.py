"""Peak memory of coding one matrix, by codec and shape: each in a process of its own.

    python bench/compress_memory.py                      # the shapes of 7 B models; minutes
    python bench/compress_memory.py --shapes 8192x28672 --codecs sign,group_quant
    python bench/compress_memory.py --aware              # with the second moments of the inputs

Peaks are of the process over what it held before it had a matrix, so that they count everything that a run needs for
one matrix: the difference in float32, what the codec makes of it, the moments. Written as a table to standard output.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

SHAPES = "4096x4096,4096x11008,11008x4096,32000x4096"
CODECS = "svd_mixed,lowrank,sign,group_quant(bits=2)"
LIMIT = 14 << 30  # bytes of address space: a codec that wants more fails here and not the machine


def peak() -> int:
    """Bytes that were resident at most, so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(shape: tuple[int, int], text: str, aware: bool, ratio: float) -> dict[str, float]:
    """In this process: the peak over the start, seconds, payload bytes."""
    import numpy as np
    import torch

    from deltakit.compress.codec import Context, parse_codec
    from deltakit.compress.hessian import Hessian
    from deltakit.delta.site import Site
    from deltakit.tensors import TensorSpec

    torch.set_num_threads(1)
    spec, codec = TensorSpec(shape, "BF16"), parse_codec(text)
    small = np.random.default_rng(0).standard_normal((96, 80)).astype(np.float32)
    tiny = TensorSpec(small.shape, "BF16")
    budget = None if codec.fixed else int(spec.nbytes / ratio)
    codec.encode(small, Context(Site("a"), tiny, None if codec.fixed else int(tiny.nbytes / 4)))  # imports, kernels
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, resource.getrlimit(resource.RLIMIT_AS)[1]))
    start = peak()
    rng = np.random.default_rng(1)
    values = rng.standard_normal(shape, dtype=np.float32)
    values *= np.float32(1e-3)
    hessian = None
    if aware:
        x = rng.standard_normal((256, shape[1]), dtype=np.float32)
        gram = np.zeros((shape[1], shape[1]))
        for lo in range(0, shape[1], 512):
            gram[lo : lo + 512] = x[:, lo : lo + 512].T @ x
        hessian = Hessian(gram, 1, len(x))
    begin = time.perf_counter()
    terms = codec.encode(values, Context(Site("a"), spec, budget, hessian))
    took = time.perf_counter() - begin
    return {"peak": peak() - start, "seconds": took, "payload": sum(t.nbytes for t in terms)}


def table(rows: list[tuple[str, str, dict[str, float]]]) -> str:
    """Markdown."""
    lines = ["| shape | codec | peak MB | times the float32 matrix | seconds, one core | bits/parameter |"]
    lines.append("|---|---|---|---|---|---|")
    for shape, codec, found in rows:
        m, n = map(int, shape.split("x"))
        if "error" in found:
            lines.append(f"| {shape} | {codec} | {found['error']} | | | |")
            continue
        times, bits = found["peak"] / (4 * m * n), 8 * found["payload"] / (m * n)
        lines.append(
            f"| {shape} | {codec} | {found['peak'] / 1e6:,.0f} | {times:.2f} | {found['seconds']:.1f} | {bits:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default=SHAPES)
    parser.add_argument("--codecs", default=CODECS)
    parser.add_argument("--aware", action="store_true")
    parser.add_argument("--ratio", type=float, default=16.0)
    parser.add_argument("--timeout", type=float, default=900)
    parser.add_argument("--one", nargs=2, metavar=("SHAPE", "CODEC"), help="in this process, as JSON")
    given = parser.parse_args()
    if given.one:
        m, n = map(int, given.one[0].split("x"))
        print(json.dumps(measure((m, n), given.one[1], given.aware, given.ratio)))
        return
    rows = []
    for shape in given.shapes.split(","):
        for codec in given.codecs.split(","):
            command = [sys.executable, str(Path(__file__)), "--one", shape, codec, "--ratio", str(given.ratio)]
            try:
                done = subprocess.run(
                    command + (["--aware"] if given.aware else []), capture_output=True, text=True,
                    timeout=given.timeout,
                )  # fmt: skip
                found = json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr.strip()[-80:]}
            except subprocess.TimeoutExpired:
                found = {"error": f"over {given.timeout:.0f} s"}
            rows.append((shape, codec + (", data-aware" if given.aware else ""), found))
            print(table(rows[-1:]).splitlines()[-1], file=sys.stderr)
    print(table(rows))


if __name__ == "__main__":
    main()
