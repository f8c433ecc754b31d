"""Candidates of a sweep, evaluated in one call and one after another: the same models, items and answers.

    python bench/sweep.py BASE MATH CHAT [--candidates 30] [--limit 100] [--device cpu] [--merged DIR]

Prints JSON: seconds of one candidate, of all in one call (mixed batches over resident deltas; weights written one over
the other; and as the evaluator chooses), and of a call for each. The candidates are BASE + c*MATH + c*CHAT. With
--merged each is also merged to a checkpoint in DIR first, as tools without expressions must. Answers are compared: in
float32 they are to be equal.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TQDM_DISABLE", "1")
TASKS = ["toy_math"]


def timed(run: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """A result, and the seconds it took: by the clock, and of this process on the CPU (all threads)."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = run()
    return found, {"seconds": round(time.perf_counter() - wall, 2), "cpu": round(time.process_time() - cpu, 2)}


def answers(results: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """The texts of every model, in order."""
    models = [model for result in results for model in result["models"]]
    return [[s["responses"] for task in TASKS for s in m["tasks"][task]["samples"]] for m in models]


def merged(candidates: Sequence[str], folder: Path, settings: Any) -> list[dict[str, Any]]:
    """Each candidate written as a checkpoint, evaluated, removed."""
    from deltakit.checkpoint import write_checkpoint
    from deltakit.delta.open import open_model
    from deltakit.manifest import make_manifest
    from deltakit_eval.run import evaluate

    found = []
    for i, text in enumerate(candidates):
        model, out = open_model(text), folder / f"candidate-{i}"
        write_checkpoint(model.tensors, out, sidecar=model.sidecar, manifest=make_manifest("bench"))
        found.append(evaluate([str(out)], TASKS, settings))
        shutil.rmtree(out)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("base")
    parser.add_argument("math")
    parser.add_argument("chat")
    parser.add_argument("--candidates", type=int, default=30)
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--merged", type=Path)
    given = parser.parse_args()

    import torch

    from deltakit_eval.run import evaluate
    from deltakit_eval.work import Settings

    if given.device == "cpu":
        torch.set_num_threads(1)

    def settings(place: str) -> Settings:
        return Settings(limit=given.limit, device=given.device, dtype=given.dtype, place=place)

    factors = [round(0.3 + 0.9 * i / max(1, given.candidates - 1), 4) for i in range(given.candidates)]
    candidates = [f"{given.base} + {c}*{given.math} + {c}*{given.chat}" for c in factors]
    evaluate(candidates[:2], TASKS, Settings(limit=4, device=given.device, dtype=given.dtype))  # warm
    one, spent = timed(lambda: evaluate(candidates[-1:], TASKS, settings("auto")))
    rows: dict[str, Any] = {"one candidate": spent}
    each, apart = timed(lambda: [evaluate([c], TASKS, settings("auto")) for c in candidates])
    rows["one after another"] = apart
    wanted = answers(each)
    for place in ("mixed", "swap", "auto"):
        found, seconds = timed(lambda place=place: evaluate(candidates, TASKS, settings(place)))
        same = sum(a == b for m, n in zip(answers([found]), wanted, strict=True) for a, b in zip(m, n, strict=True))
        ratios = {f"ratio {unit}": round(apart[unit] / seconds[unit], 2) for unit in seconds}
        ratios |= {f"times one candidate, {u}": round(seconds[u] / max(spent[u], 0.01), 1) for u in seconds}
        rows[f"one call, {place}"] = {**seconds, **ratios, "equal answers": same}
    if given.merged:
        written, seconds = timed(lambda: merged(candidates, given.merged, settings("auto")))
        same = sum(a == b for m, n in zip(answers(written), wanted, strict=True) for a, b in zip(m, n, strict=True))
        rows["each merged to disk first"] = {**seconds, "equal answers": same}
    about = {"candidates": given.candidates, "items": given.limit, "answers": given.candidates * given.limit}
    print(json.dumps({**about, "device": given.device, "dtype": one["models"][0]["dtype"], "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
