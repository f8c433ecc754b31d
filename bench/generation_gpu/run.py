"""Generation on a GPU: our engine in its forms beside transformers and lm-eval, against the roofline; one command.

    python bench/generation_gpu/run.py --page bench/results/generation_gpu.md
    python bench/generation_gpu/run.py --tiny --page /tmp/tiny.md     (seconds, on a CPU: does it run?)

Random weights of true shapes, answers of forced log-normal lengths, the same in all engines. Each engine answers a few
requests first, then all of them once; its tokens are counted and must be those asked for. Finished measurements are
kept in PAGE.json; the same command goes on from there.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TQDM_DISABLE", "1")


def main() -> None:
    """Measure what is not measured yet, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path, required=True)
    parser.add_argument("--tiny", action="store_true", help="one tiny model and few requests, on the CPU too")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shapes", nargs="*", help="names of shapes.py; default: all but tiny")
    parser.add_argument("--requests", type=int, default=1319)
    parser.add_argument("--median", type=int, default=110, help="tokens of an answer")
    parser.add_argument("--rows", type=int, default=256, help="at once; transformers' batches have --static-rows")
    parser.add_argument("--static-rows", type=int, default=64)
    parser.add_argument("--engines", nargs="*", help="only those whose names contain one of these")
    given = parser.parse_args()
    if given.tiny:
        given.shapes, given.requests, given.median, given.rows, given.static_rows = ["tiny"], 12, 6, 4, 4

    import torch

    if given.device == "cuda" and not torch.cuda.is_available():
        if not given.tiny:
            raise SystemExit("no CUDA device; --tiny runs on the CPU")
        given.device = "cpu"
    from shapes import SHAPES

    file = given.page.with_suffix(".json")
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}

    def keep(key: str, value: Any) -> None:
        found[key] = value
        file.write_text(json.dumps(found, indent=1))
        print(f"{key}: {value}", flush=True)

    for name in given.shapes or [name for name in SHAPES if name != "tiny"]:
        measure(name, given, found, keep)
    given.page.write_text(page(found, given))


def measure(name: str, given: Any, found: dict[str, Any], keep: Any) -> None:
    """One shape: the machine's limits and the roofline, the measurements of first.py, every engine."""
    import torch
    from engines import Bench, engines
    from first import measurements
    from shapes import build, limits, roofline, tokenizer, workload

    cuda = given.device.startswith("cuda")
    dtype = torch.bfloat16 if cuda else torch.float32
    model, known = build(name, given.device, dtype), tokenizer()
    asked = workload(given.requests, given.median)
    if "machine" not in found:
        keep("machine", {"name": torch.cuda.get_device_name() if cuda else platform.processor() or "CPU",
                         "torch": torch.__version__, **limits(given.device, dtype)})  # fmt: skip
    machine = found["machine"]
    positions = round(sum(len(a.ids) + a.tokens / 2 for a in asked) / len(asked))
    keep(f"{name}/roofline", roofline(model, given.rows, positions, machine))
    if f"{name}/first" not in found:
        keep(f"{name}/first", dict(measurements(model, known, machine, given.tiny)))
    for engine, run in engines(cuda).items():
        key = f"{name}/{engine}"
        if key in found or (given.engines and not any(part in engine for part in given.engines)):
            continue
        rows = given.rows if engine.startswith(("ours", "transformers, cont")) else given.static_rows
        keep(key, timed(run, Bench(model, known, asked, rows), rows))
        gc.collect()
        if cuda:
            torch.cuda.empty_cache()


def timed(run: Any, bench: Any, rows: int) -> dict[str, Any]:
    """Tokens a second of one engine; what it failed with where it did."""
    from dataclasses import replace

    import torch

    expected = sum(a.tokens for a in bench.asked)
    try:
        run(replace(bench, asked=bench.asked[: min(rows, len(bench.asked))]))  # kernels are compiled, libraries loaded
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        tokens = run(bench)
        took = time.perf_counter() - start  # tokens have been read on the host: the device is done
    except Exception as error:  # a peer that is missing or fails is a line of the table
        return {"rows": rows, "failed": f"{type(error).__name__}: {error}".split("\n")[0]}
    assert tokens == expected, f"{tokens} tokens instead of {expected}"
    peak = torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else 0.0
    return {"rows": rows, "seconds": took, "tokens": tokens, "tokens per second": tokens / took, "peak GB": peak}


def page(found: dict[str, Any], given: Any) -> str:
    """The Markdown page."""
    machine = found["machine"]
    copied = f"{machine['bytes per second'] / 1e12:.2f} TB/s of a copy"
    product = f"{machine['operations per second'] / 1e12:.1f} TFLOP/s of a product"
    lines = [
        "# Generation on a GPU", "",
        f"{machine['name']}, torch {machine['torch']}; measured here: {copied}, {product}.",
        f"{given.requests} requests, answers of log-normal length about {given.median} tokens, the same everywhere,",
        "all in one run. Made by `python bench/generation_gpu/run.py --page PAGE`.", "",
        "| shape | engine | rows | tokens/s | of the roofline | peak GB |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for key, value in found.items():
        name, _, engine = key.partition("/")
        if not engine or engine in ("roofline", "first"):
            continue
        roof = found[f"{name}/roofline"]["tokens per second"]
        if "failed" in value:
            lines.append(f"| {name} | {engine} | {value['rows']} | failed: {value['failed']} | | |")
        else:
            speed = value["tokens per second"]
            share = f"{speed / roof:.2f}"
            lines.append(f"| {name} | {engine} | {value['rows']} | {speed:,.0f} | {share} | {value['peak GB']:.1f} |")
    lines += [
        "", "The roofline: a step of decoding reads all weights or multiplies by them, whichever takes longer, and",
        "reads the keys and values of every row; prompts are not in it, they are in the engines' times.", "",
    ]  # fmt: skip
    for key, value in found.items():
        if key.endswith("/roofline"):
            told = (
                f"{value['step ms']:.2f} ms a step of {value['rows']} rows, {value['tokens per second']:,.0f} tokens/s"
            )
            lines.append(f"- {key.removesuffix('/roofline')}: {told}")
    for key, value in found.items():
        if key.endswith("/first"):
            for title, rows in value.items():
                lines += ["", f"## {title}: {key.removesuffix('/first')}", "", *_table(rows)]
    return "\n".join(lines) + "\n"


def _table(rows: list[dict[str, Any]]) -> list[str]:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    body = ["| " + " | ".join(str(row.get(column, "")) for column in columns) + " |" for row in rows]
    return ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns), *body]


if __name__ == "__main__":
    main()
