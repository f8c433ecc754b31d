"""Many models of one base in one call, against one after another with lm-eval's own backend; and where they should sit.

    python bench/many_models.py demo-out [--limit 100] [-o bench/results/many_models.md]

`demo-out` is what `deltakit demo -o demo-out` left. The first table is one command: base, both experts, six merges and
six archives on both tasks. lm-eval's hf backend gets each model as a checkpoint, restored beforehand; its time is that
of loading and evaluating. The second table sums "base + a*math + b*chat" with few and with many items.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TQDM_DISABLE", "1")
ROOT = Path(__file__).resolve().parents[1]
TASKS = ["toy_math", "toy_chat"]
MERGES = ("task-arithmetic", "ties", "dare-ties", "della", "magmax", "slerp")
ARCHIVES = ("svd-mixed", "sign", "lowrank", "svd-mixed-tight", "auto-tight", "dare-0.2")


def family(demo: Path, base: Path) -> dict[str, str]:
    """Fifteen models by name: checkpoints, and archives over the base."""
    found = {"base": str(base), "math": str(demo / "math"), "chat": str(demo / "chat")}
    found |= {f"merge {name}": str(demo / name) for name in MERGES}
    return found | {f"archive {name}": f"{base} + {demo / name}.delta" for name in ARCHIVES}


def ours(
    models: dict[str, str], limit: int, place: str, tasks: list[str], new: int | None = None
) -> tuple[dict[str, Any], float]:
    """Results and seconds of one call of our evaluator."""
    from deltakit_eval.run import evaluate
    from deltakit_eval.work import Settings

    began = time.perf_counter()
    settings = Settings(limit=limit, place=place, max_new_tokens=new)
    found = evaluate([f"{n}={m}" for n, m in models.items()], tasks, settings)
    return found, time.perf_counter() - began


def theirs(folders: dict[str, Path], limit: int, batch: int) -> tuple[dict[str, dict[str, float]], float]:
    """Accuracies by model and task with lm-eval's hf backend, and its seconds."""
    from lm_eval import evaluator
    from lm_eval.models.huggingface import HFLM

    from deltakit_eval.tasks import load_tasks

    scores: dict[str, dict[str, float]] = {}
    began = time.perf_counter()
    for name, folder in folders.items():
        lm = HFLM(pretrained=str(folder), dtype="float32", device="cpu", batch_size=batch)
        found = evaluator.evaluate(lm, {"tasks": load_tasks(TASKS, limit=limit)}, bootstrap_iters=100)
        scores[name] = {task: row["exact_match,marked"] for task, row in found["results"].items()}
    return scores, time.perf_counter() - began


def restored(models: dict[str, str], folder: Path) -> dict[str, Path]:
    """Every model as a checkpoint: what lm-eval's backend can read."""
    found = {}
    for name, text in models.items():
        base, plus, delta = text.partition(" + ")
        found[name] = Path(base) if not plus else folder / name.replace(" ", "-")
        if plus:
            command = [sys.executable, "-m", "deltakit_cli", "apply", base, delta, "-o", str(found[name])]
            subprocess.run([*command, "--format", "quiet"], check=True)
    return found


def demo_table(demo: Path, base: Path, limit: int, batch: int) -> list[str]:
    """One call against fifteen."""
    models = family(demo, base)
    ours({"base": str(base)}, 2, "swap", TASKS)  # warm: imports, kernels
    timed = {place: ours(models, limit, place, TASKS) for place in ("auto", "swap", "mixed")}
    with tempfile.TemporaryDirectory() as folder:
        scores, seconds = theirs(restored(models, Path(folder)), limit, batch)
    found, _ = timed["auto"]
    lines = ["| | seconds | times as fast |", "|---|---|---|"]
    lines += [f"| lm-eval's hf backend, batch {batch}, one after another | {seconds:.1f} | 1 |"]
    lines += [f"| deltakit, one call, {place} | {s:.1f} | {seconds / s:.1f} |" for place, (_, s) in timed.items()]
    off = [
        (m["name"], task)
        for m in found["models"]
        for task in TASKS
        if abs(m["tasks"][task]["accuracy"] - scores[m["name"]][f"deltakit_{task}"]) > 1e-9
    ]
    pairs = len(models) * len(TASKS)
    lines += ["", f"Scores equal to lm-eval's in {pairs - len(off)} of {pairs} pairs of model and task; others: {off}."]
    return lines


def linear_table(base: Path, deltas: list[Path], candidates: int, sizes: list[int], new: int | None) -> list[str]:
    """Sums over two deltas: mixed in one batch against swapped, by items per model."""
    one, other = deltas
    names = [f"{base} + {0.1 + i / candidates:.3f}*{one} + {1 - i / candidates:.3f}*{other}" for i in range(candidates)]
    models = {f"c{i}": text for i, text in enumerate(names)}
    lines = ["| items each | one candidate, s | swap, s | mixed, s | swap / mixed |", "|---|---|---|---|---|"]
    for size in sizes:
        _, alone = ours({"c0": names[0]}, size, "swap", TASKS[:1], new)
        took = {place: ours(models, size, place, TASKS[:1], new)[1] for place in ("swap", "mixed")}
        ratio = took["swap"] / took["mixed"]
        lines.append(f"| {size} | {alone:.2f} | {took['swap']:.1f} | {took['mixed']:.1f} | {ratio:.2f} |")
    return lines


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path)
    parser.add_argument("--base", type=Path, default=ROOT / "recipes/demo/base")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--candidates", type=int, default=30)
    parser.add_argument("--sizes", type=int, nargs="*", default=[4, 16, 100])
    parser.add_argument("--other", type=Path, nargs=3, metavar=("BASE", "DELTA", "DELTA"), help="sums of larger models")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    import torch

    torch.set_num_threads(2)
    page = [
        "# Many models in one call", "",
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} shared cores, torch {torch.__version__}, "
        f"`python bench/many_models.py demo-out --limit {given.limit} --batch {given.batch}`.", "",
        f"## Base, two experts, six merges, six archives; both tasks, {given.limit} items each", "",
        *demo_table(given.demo, given.base, given.limit, given.batch), "",
        f"## {given.candidates} sums over two deltas, one task", "",
        *linear_table(given.base, [given.demo / f"{n}.delta" for n in ("math", "chat")], given.candidates, given.sizes,
                      None), "",
    ]  # fmt: skip
    if given.other:
        base, *deltas = given.other
        size = sum(p.stat().st_size for p in base.glob("*.safetensors"))
        page += [f"## 8 sums over a base of {size / 1e6:.0f} MB, 12 new tokens", ""]
        page += [*linear_table(base, deltas, 8, [1, 4, 16], 12), ""]
    text = "\n".join(page)
    print(text)
    if given.output:
        given.output.write_text(text)


if __name__ == "__main__":
    main()
