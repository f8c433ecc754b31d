"""Our evaluator against lm-eval's own hf backend: the same model, tasks, items and dtype, in one process each turn.

    python bench/generation.py MODEL [--limit 100] [--max-new-tokens 40] [--models 16]

Prints JSON: seconds of `hf` at batch 8 (other sizes on request), of ours, and of ours over many models of the same
shape. The texts are compared as well: in float32 they must be equal.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TQDM_DISABLE", "1")
TASKS = ["toy_math", "toy_chat"]


def timed(run: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """A result, and the seconds it took: by the clock, and of this process on the CPU (all threads)."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = run()
    return found, {"seconds": round(time.perf_counter() - wall, 2), "cpu": round(time.process_time() - cpu, 2)}


def with_lm(lm: Any, limit: int, new: int) -> dict[str, list[str]]:
    """Texts of all tasks by any lm-eval model."""
    from lm_eval import evaluator

    from deltakit_eval.tasks import load_tasks

    tasks = load_tasks(TASKS, limit=limit)
    for task in tasks.values():
        task.set_config("generation_kwargs", {"max_gen_toks": new}, update=True)
    found = evaluator.evaluate(lm, {"tasks": tasks}, bootstrap_iters=100, log_samples=True)
    return {name: [s["resps"][0][0] for s in found["samples"][name]] for name in tasks}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--max-new-tokens", type=int, default=40)
    parser.add_argument("--models", type=int, default=16)
    parser.add_argument("--hf-batch", type=int, nargs="*", default=[8])
    given = parser.parse_args()

    import torch
    from lm_eval.models.huggingface import HFLM

    from deltakit.delta.open import open_model
    from deltakit.generate import Host
    from deltakit_eval.answering import Endings
    from deltakit_eval.model import DeltakitLM
    from deltakit_eval.run import evaluate
    from deltakit_eval.work import Settings

    torch.set_num_threads(1)
    size = {"limit": given.limit, "new": given.max_new_tokens}
    ours = DeltakitLM(Host(device="cpu").serve(open_model(given.model)))
    with_lm(ours, 4, 4)  # warm
    ours.endings = Endings()
    texts, spent = timed(lambda: with_lm(ours, **size))
    rows: dict[str, Any] = {"ours": {**spent, "tokens": ours.endings.tokens}}
    for batch in given.hf_batch:
        hf = HFLM(pretrained=given.model, dtype="float32", device="cpu", batch_size=batch)
        with_lm(hf, 4, 4)
        same, other = timed(lambda hf=hf: with_lm(hf, **size))
        equal = sum(a == b for name in texts for a, b in zip(texts[name], same[name], strict=True))
        ratio = {f"ratio {unit}": round(other[unit] / spent[unit], 2) for unit in spent}
        rows[f"hf, batch {batch}"] = {**other, **ratio, "equal texts": equal}
    names = [f"{given.model} + {i}e-3*{given.model}" for i in range(given.models)]
    settings = Settings(limit=given.limit, max_new_tokens=given.max_new_tokens)
    _, several = timed(lambda: evaluate(names, TASKS, settings))
    rows[f"ours, {given.models} models"] = several
    print(json.dumps({"model": given.model, "items": 2 * given.limit, "threads": 1, **rows}, indent=2))


if __name__ == "__main__":
    main()
