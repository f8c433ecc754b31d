"""Four tenants over one base against four restored models, and against the base alone: one step, memory, agreement.

    python bench/make_family.py ...            # a base and fine-tunes of it, or any of your own
    python bench/tenants.py BASE TUNED TUNED --work DIR [--rows 8] [--repeat 12]

Prints JSON: CPU milliseconds of one thread (median) of a prefill (rows x 16 tokens) and of one decoding step (a token
a row), for every way to serve; bytes; the largest difference of the logits from the restored model's, of the largest.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
SETS = {
    "low rank": ["lowrank(rank=16)"] * 4,
    "signs": ["sign", "sign(scale='row')", "sign(scale='column')", "sign"],
    "mixed": ["svd_mixed", "sign(scale='row')", "lowrank(rank=32)", "sign"],
}
TOKENS = 16


def archives(base: str, tuned: list[str], work: Path, codecs: list[str]) -> list[str]:
    """A MODEL string for every codec, its archive made once; fine-tunes in turn."""
    from deltakit.compress.run.files import compress_files
    from deltakit.compress.run.request import Request

    work.mkdir(parents=True, exist_ok=True)
    found = []
    for i, codec in enumerate(codecs):
        out = work / f"{codec.translate(str.maketrans('()=,', '____'))}{i}.archive".replace("'", "")
        if not out.exists():
            compress_files(
                Request(base, tuned[i % len(tuned)], out, codec, ratio=16.0 if codec == "svd_mixed" else None)
            )
        found.append(f"{base} + {out}")
    return found


def timed(run: Callable[[], Any], repeat: int) -> float:
    """Median CPU milliseconds of this thread's process."""
    run()
    taken = []
    for _ in range(repeat):
        before = time.process_time()
        run()
        taken.append(1000 * (time.process_time() - before))
    return round(statistics.median(taken), 2)


def steps(model: Any, ids: Any, around: Callable[[], Any], repeat: int) -> dict[str, float]:
    """A prefill, and one token more with the cache that it left."""
    from deltakit.generate.cache import growing_cache

    def run(part: Any, cache: Any) -> Any:
        with around():
            return model(input_ids=part, past_key_values=cache, use_cache=True, logits_to_keep=1)

    cache = growing_cache(model.config)
    run(ids, cache)

    def decode() -> None:
        run(ids[:, :1], cache)
        cache.crop(-1)

    return {
        "prefill": timed(lambda: run(ids, growing_cache(model.config)), max(1, repeat // 4)),
        "decode": timed(decode, repeat),
    }


def measure(base: str, texts: list[str], rows: int, repeat: int) -> dict[str, Any]:
    """All ways to serve these tenants."""
    from contextlib import nullcontext

    import torch

    from deltakit.delta.open import open_model
    from deltakit.runtime import load_model
    from deltakit.tenants import ResidentBase

    ids = torch.randint(3, 1000, (rows, TOKENS), generator=torch.Generator().manual_seed(0))
    each = rows // len(texts)
    names = [text for text in texts for _ in range(each)]
    apart, want = {"prefill": 0.0, "decode": 0.0}, []
    for i, text in enumerate(texts):
        opened = open_model(text)
        model, own = load_model(opened.tensors, opened.sidecar, "float32"), ids[i * each : (i + 1) * each]
        apart = {k: round(apart[k] + v, 2) for k, v in steps(model, own, nullcontext, repeat).items()}
        want.append(model(input_ids=own).logits)
        del model
    found: dict[str, Any] = {"separate models": apart}
    for hold in ("fast", "packed"):
        resident = ResidentBase.open(base, hold=hold)
        found["base alone"] = found.get("base alone") or steps(resident.model, ids, nullcontext, repeat)
        for text in texts:
            resident.attach(text, text)
        memory = resident.memory()
        for form in ("auto", "terms", "rows") if hold == "fast" else ("auto",):
            resident.form = form
            few = repeat if hold == "fast" else max(1, repeat // 4)
            found[f"{hold}, {form}"] = steps(resident.model, ids, lambda r=resident: r.rows(names), few)
        with resident.rows(names):
            logits = resident.model(input_ids=ids).logits
        all_of = torch.cat(want)
        found[f"{hold}, {form}"]["difference"] = float((logits - all_of).abs().max() / all_of.abs().max())
        found[f"bytes, {hold}"] = {"base": memory["base"], "terms": memory["terms"]}
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("base")
    parser.add_argument("tuned", nargs="+")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=12)
    parser.add_argument("--set", choices=sorted(SETS), action="append")
    given = parser.parse_args()

    import torch

    torch.set_num_threads(1)
    with torch.inference_mode():
        for name in given.set or SETS:
            texts = archives(given.base, given.tuned, given.work, SETS[name])
            print(json.dumps({name: measure(given.base, texts, given.rows, given.repeat)}, indent=1), flush=True)


if __name__ == "__main__":
    main()
