"""What lossless deltas take, by kind of fine-tune, and how fast they are made and read: one core.

    python bench/lossless.py [--size 2048] [--pair BASE TUNED] [--out bench/results/lossless.md]

Synthetic pairs of one matrix (weights N(0, 0.02)), and with --pair every tensor of a real one. "planes" are zstd byte
planes of the bit difference, what `extract` wrote before; "smallest" is what it writes now. MB are of the fine-tune.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from deltakit.checkpoint.open import open_checkpoint
from deltakit.compress.fit.recognise import recognised
from deltakit.delta.difference import difference
from deltakit.delta.terms.exact import Exact
from deltakit.delta.terms.lossless import lossless
from deltakit.delta.terms.tied import Tied
from deltakit.tensors import Mapped, TensorSpec, as_bytes, from_float32, numpy_bits, to_float32

NAME, ROUNDS = "w", 3


def rounded(values: Any, dtype: str) -> Any:
    return to_float32(from_float32(values, dtype).tobytes(), dtype).reshape(values.shape)


def held(values: Any, dtype: str) -> Mapped:
    raw, spec = as_bytes(from_float32(values, dtype)), TensorSpec(values.shape, dtype)
    stride = spec.row_size * spec.itemsize
    return Mapped({NAME: spec}, lambda _, lo, hi: raw[lo * stride : hi * stride])


def pairs(n: int, dtype: str) -> Iterator[tuple[str, Mapped, Mapped]]:
    """(what, base, tuned)."""
    rng = np.random.default_rng(0)
    base = rounded((rng.standard_normal((n, n)) * 0.02).astype(np.float32), dtype)

    def noise(size: float) -> Any:
        return (rng.standard_normal((n, n)) * size).astype(np.float32)

    for size in (1e-3, 3e-4, 1e-4, 3e-5, 1e-5):
        yield f"full fine-tune, steps of {size:g}", held(base, dtype), held(base + noise(size), dtype)
    units = np.frombuffer(held(base, dtype).buffer(NAME), numpy_bits(dtype)).reshape(n, n)
    for share in (0.01, 0.001):
        moved = units + (rng.random((n, n)) < share).astype(units.dtype)
        tuned = to_float32(moved.tobytes(), dtype).reshape(n, n)
        yield f"{share:.1%} of the elements moved by one unit", held(base, dtype), held(tuned, dtype)
    u, v = rng.standard_normal((n, 1)), rng.standard_normal((1, n))
    removed = base - (u / np.linalg.norm(u) @ (u / np.linalg.norm(u)).T @ base).astype(np.float32)
    yield "abliteration (one direction removed)", held(base, dtype), held(removed, dtype)
    lora = (rng.standard_normal((n, 16)) @ rng.standard_normal((16, n)) / 4 * 2e-4).astype(np.float32)
    yield "merged LoRA of rank 16", held(base, dtype), held(base + lora, dtype)
    yield "another model", held(base, dtype), held(noise(0.02), dtype)
    del v


def best(work: Callable[[], Any]) -> tuple[float, Any]:
    """Least processor seconds of some rounds, and the result."""
    times, made = [], None
    for _ in range(ROUNDS):
        start = time.thread_time()
        made = work()
        times.append(time.thread_time() - start)
    return min(times), made


def measured(base: Any, tuned: Any, name: str, spec: TensorSpec) -> list[Any]:
    """bits of planes, bits of the smallest, its kind, MB/s: planes made, read, smallest made, read."""
    speeds, bits, kind = [], [], ""
    for make in (Exact.of, lossless):
        seconds, term = best(lambda make=make: make(base, tuned, name, spec))
        found: Tied = term
        again, raw = best(lambda found=found: found.bits(0, spec.rows))
        assert raw == tuned.buffer(name, 0, spec.rows)
        bits.append(8 * found.nbytes / spec.numel)
        speeds += [spec.nbytes / seconds / 1e6, spec.nbytes / again / 1e6]
        kind = found.kind
    return [*(f"{b:.3f}" for b in bits), kind, *(f"{s:.0f}" for s in speeds)]


def factors(base: Mapped, tuned: Mapped) -> str:
    """What `compress` keeps of a merge: rank, bits per parameter, share of weights that do not come back."""
    entry = difference(base, tuned, lineage=None).entries[NAME]
    spec = entry.spec
    term = entry.parts[0].term
    found = recognised(entry, term.rows(0, spec.rows), spec.nbytes)
    if found is None:
        return "no low rank"
    old, new = (to_float32(bytes(m.buffer(NAME)), spec.dtype).reshape(spec.shape) for m in (base, tuned))
    wrong = (rounded(old + found.rows(0, spec.rows), spec.dtype) != new).mean()
    return f"rank {found.rank}, {8 * found.nbytes / spec.numel:.3f} bits, {wrong:.2%} of the weights off"


def real(base: str, tuned: str) -> list[Any]:
    """A row of a pair of models: all of its tensors."""
    first, second = open_checkpoint(base), open_checkpoint(tuned)
    kinds: Counter[str] = Counter()
    planes = smallest = total = 0
    for name, spec in second.specs.items():
        planes += Exact.of(first, second, name, spec).nbytes
        made = lossless(first, second, name, spec)
        assert made.bits(0, spec.rows) == second.buffer(name)
        smallest, total = smallest + made.nbytes, total + spec.numel
        kinds[made.kind] += 1
    return [f"{8 * planes / total:.3f}", f"{8 * smallest / total:.3f}", dict(kinds)]


def main() -> None:
    ask = argparse.ArgumentParser()
    ask.add_argument("--size", type=int, default=2048)
    ask.add_argument("--pair", nargs=2, action="append", default=[])
    ask.add_argument("--dtypes", default="BF16,F16,F32")
    ask.add_argument("--out", type=Path)
    asked = ask.parse_args()
    lines = ["| fine-tune | planes, bits | smallest, bits | as | planes made | read | smallest made | read, MB/s |"]
    lines.append("|---" * 8 + "|")
    merges = []
    for dtype in asked.dtypes.split(","):
        for what, base, tuned in pairs(asked.size, dtype):
            lines.append(
                "| " + " | ".join([f"{dtype}: {what}", *measured(base, tuned, NAME, tuned.specs[NAME])]) + " |"
            )
            print(lines[-1], flush=True)
            if "LoRA" in what or "ablit" in what:
                merges.append(f"- {dtype}, {what}: {factors(base, tuned)}")
    for base, tuned in asked.pair:
        merges.append(f"- {Path(tuned).parent.name}/{Path(tuned).name}: planes, smallest, kinds: {real(base, tuned)}")
    text = "\n".join([*lines, "", *merges, ""])
    print("\n".join(merges))
    if asked.out:
        asked.out.write_text(text)


if __name__ == "__main__":
    main()
