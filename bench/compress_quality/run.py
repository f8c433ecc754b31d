"""Codecs at equal true bytes on trained experts: accuracy on both toy tasks, KL to the full fine-tune, flipped answers.

    bench/compress_quality/family.sh runs/family        (trains experts of both tasks by three seeds)
    python bench/compress_quality/run.py runs/family -o runs/quality

Sizes are of whole files: BITS times the parameters of the whole model, over eight; a codec of one size is shown where
it comes out. Flips are items whose being right or wrong differs from the fine-tune's. KL is the mean over the response
tokens of 100 held-out records of the expert's own task, from the fine-tune to what was restored, in nats.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, stdev
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / "recipes/demo/base"
SEEDS, KINDS, BITS = (0, 1, 2), ("math", "chat"), (4.0, 2.0, 1.0, 0.25)
THREE = (1.0, 0.25)  # sizes that all seeds are compressed to; the others, where little is lost, the first alone
HELD_OUT = 100

# label -> codec and further options
LOOK = ["--samples", "64", "--length", "128"]
CODECS: dict[str, tuple[str, list[str]]] = {
    "svd_mixed, calibrated": ("svd_mixed", ["--calibrate", "{text}", *LOOK]),
    "svd_mixed, neutral text": ("svd_mixed", ["--calibrate", "builtin", *LOOK]),
    "svd_mixed, data-free": ("svd_mixed", []),
    "svd_mixed, calibrated, healed": ("svd_mixed", ["--heal", "200", "--calibrate", "{text}", *LOOK]),
    "delta_come (reference), calibrated": ("delta_come", ["--calibrate", "{text}", *LOOK]),
    "lowrank": ("lowrank", []),
    "sign": ("sign", []),
    "sign_lowrank": ("sign_lowrank", []),
    "group_quant": ("group_quant", []),
    "auto": ("auto", []),
    "auto, calibrated": ("auto", ["--calibrate", "{text}", *LOOK]),
}
ONLY = {
    "sign": (1.0,),
    "svd_mixed, neutral text": (0.25,),
    "svd_mixed, calibrated, healed": (0.25,),
    "auto, calibrated": (1.0,),
    "group_quant": (4.0, 2.0),
    "sign_lowrank": (4.0, 2.0),
}
RECORDS = {"math": "metamath", "chat": "instruction"}


def deltakit(*words: object) -> str:
    """The command line, as a user calls it; what it says."""
    command = [sys.executable, "-m", "deltakit_cli", *map(str, words)]
    found = subprocess.run(command, capture_output=True, text=True)
    return found.stderr.strip() if found.returncode else ""


def archives(family: Path, out: Path, bits: tuple[float, ...]) -> Iterator[tuple[str, str, float, int, Path]]:
    """(kind, label, bits asked for, seed, archive); those that cannot be made are named and left out."""
    from deltakit.checkpoint.open import open_checkpoint

    numel = sum(s.numel for s in open_checkpoint(BASE).specs.values())
    for kind in KINDS:
        for seed in SEEDS:
            for label, (codec, options) in CODECS.items():
                for size in bits:
                    if (seed and size not in THREE) or size not in ONLY.get(label, bits):
                        continue
                    name = f"{kind}-{seed}-{label}-{size:g}".replace(" ", "_").replace(",", "")
                    path = out / "archives" / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    given = [w.format(text=family / f"{kind}.jsonl") for w in options]
                    if label != "sign":
                        given += ["--bytes", int(numel * size / 8)]
                    if not path.exists():
                        given += ["-o", path, "--format", "quiet"]
                        said = deltakit("compress", BASE, family / f"{kind}-{seed}", "--codec", codec, *given)
                        if said:
                            print(f"{name}: {said}", file=sys.stderr)
                            continue
                    yield kind, label, size, seed, path


def divergence(family: Path, made: list[tuple[str, str, float, int, Path]]) -> dict[Path, float]:
    """Mean KL of the response tokens' distributions, per archive."""
    import torch

    from deltakit.data.records import read_records
    from deltakit.delta.open import open_model
    from deltakit.generate import Host
    from deltakit.prompts import prompt_style
    from deltakit.train.masking import encode

    host, found = Host(device="cpu", dtype="float32"), {}
    ask = prompt_style("alpaca")

    def logits(text: str, kind: str) -> list[Any]:
        engine = host.serve(open_model(text))
        records = read_records(family / f"{kind}.test.jsonl", RECORDS[kind]).records[:HELD_OUT]
        texts = [(ask(r.instruction, r.input), r.response) for r in records]
        encoded, _ = encode(texts, engine.tokenizer, max_length=256, too_long="drop")
        out = []
        with torch.no_grad():
            for i in range(len(encoded)):
                ids, border = encoded[i]
                given = torch.from_numpy(ids.astype("int64"))[None]
                out.append(torch.log_softmax(engine.model(input_ids=given).logits[0, border - 1 : -1].double(), -1))
        return out

    for kind in KINDS:
        for seed in SEEDS:
            mine = [m for m in made if m[0] == kind and m[3] == seed]
            teacher = logits(str(family / f"{kind}-{seed}"), kind)
            for *_, path in mine:
                student = logits(f"{BASE} + {path}", kind)
                total = sum(float((t.exp() * (t - s)).sum()) for t, s in zip(teacher, student, strict=True))
                found[path] = total / sum(len(t) for t in teacher)
    return found


def evaluated(family: Path, made: list[tuple[str, str, float, int, Path]], out: Path, items: int) -> dict[str, Any]:
    """Name to tasks, with every sample."""
    words = [f"base={BASE}"] + [f"{k}-{s}={family / f'{k}-{s}'}" for k in KINDS for s in SEEDS]
    words += [f"{path.name}={BASE} + {path}" for *_, path in made]
    results = out / "results.json"
    command = [sys.executable, "-m", "deltakit_cli", "eval", *words, "--tasks", "toy_math,toy_chat", "--limit",
               str(items), "-o", str(results)]  # fmt: skip
    if (code := subprocess.run(command, stdout=subprocess.DEVNULL).returncode) != 0:
        sys.exit(code)
    return {m["name"]: m["tasks"] for m in json.loads(results.read_text())["models"]}


def right(task: dict[str, Any]) -> list[bool]:
    """Which items were answered rightly."""
    metric, _, kept = task["headline"].partition(",")
    return [bool(sample["filters"][kept][metric]) for sample in task["samples"]]


def table(made: list[tuple[str, str, float, int, Path]], scores: dict[str, Any], kl: dict[Path, float]) -> str:
    """Means over seeds ± their standard deviation, a row per codec and size."""
    groups: dict[tuple[str, float, str], list[list[float]]] = defaultdict(list)
    for kind, label, size, seed, path in made:
        own, other = (f"toy_{k}" for k in (kind, "chat" if kind == "math" else "math"))
        tasks, full = scores[path.name], scores[f"{kind}-{seed}"]
        flips = mean(a != b for a, b in zip(right(tasks[own]), right(full[own]), strict=True))
        row = [path.stat().st_size, 100 * tasks[own]["accuracy"], 100 * tasks[other]["accuracy"], kl[path], 100 * flips]
        groups[kind, size, label].append(row)
    lines = ["| expert | bits | codec | file, bytes | own task, % | other task, % | KL, nats | flipped, % |",
             "|---|---:|---|---:|---:|---:|---:|---:|"]  # fmt: skip
    for kind in KINDS:
        full = [100 * scores[f"{kind}-{s}"][f"toy_{kind}"]["accuracy"] for s in SEEDS]
        lines.append(f"| {kind} | 16 | the fine-tune | | {mean(full):.1f} ± {stdev(full):.1f} | | 0 | 0 |")
        for (k, size, label), rows in sorted(groups.items(), key=lambda g: (-g[0][1], mean(r[3] for r in g[1]))):
            if k == kind:
                size_, own, other, far, flips = zip(*rows, strict=True)
                spread = stdev(own) if len(own) > 1 else 0.0
                lines.append(f"| {kind} | {size:g} | {label} | {mean(size_):,.0f} | {mean(own):.1f} ± {spread:.1f} | "
                             f"{mean(other):.1f} | {mean(far):.4f} | {mean(flips):.1f} |")  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> None:
    """Compress, evaluate, measure, print and save the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--bits", type=float, nargs="+", default=BITS)
    given = parser.parse_args()
    family, out = given.family.resolve(), given.output.resolve()
    made = list(archives(family, out, tuple(sorted(given.bits, reverse=True))))
    scores = evaluated(family, made, out, given.items)
    text = table(made, scores, divergence(family, made))
    (out / "table.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
