"""What calibration gives, and in which order: on trained experts, at equal true bytes.

    bench/compress_quality/family.sh runs/family        (trains experts; math-0 and chat-0 are enough)
    python bench/compress_sequence.py runs/family math-0 chat-0

Rows: without a text; by Hessians of the base; layer by layer in true sequence; and within each layer in four passes,
too (query, key and value; output; gate and up; down), each seeing what the coded ones before it give. Texts: the
built-in one, and the expert's own training records. KL is the mean over tokens of 60 held-out records from the
fine-tune to what was restored, in nats; flips are greedy tokens that differ.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from deltakit.checkpoint.open import open_checkpoint
from deltakit.compress.run.archive import prepare, write_job
from deltakit.compress.run.calibrated import Walk, restored
from deltakit.compress.run.hessians import LayerHessians
from deltakit.compress.run.operands import open_operands
from deltakit.compress.run.request import Request, Sampling
from deltakit.delta.applied import Applied
from deltakit.delta.open import open_model
from deltakit.runtime import load_model, load_tokenizer

BASE = Path(__file__).resolve().parents[1] / "recipes/demo/base"
PASSES = (r"[qkv]_proj", r"o_proj", r"(gate|up)_proj", r"down_proj")


class Within(Walk):
    """Four passes a layer."""

    def code(self, walker: Any, stage: Any, states: Any, encoder: Any, segments: Any) -> None:
        tuned, specs = Applied(self.operands.base, encoder.delta), encoder.delta.specs
        for pattern in PASSES:
            names = [n for n in stage.names if re.search(pattern, n)]
            found = LayerHessians(walker.moments(stage, states), specs) if names else {}
            segments.pull(names, lambda n, found=found: encoder.entry(n, found.get(n)))
            coded = restored(tuned, segments)
            walker.replace(stage, {n: coded(n) for n in names})
        super().code(walker, stage, states, encoder, segments)


def compressed(request: Request, way: str) -> int:
    """Bytes of the archive that is written."""
    operands = open_operands(request.base, request.tuned)
    job = prepare(operands, request)
    if way == "within layers too":
        job = replace(job, sight=Within.of(operands, request.sampling or Sampling()))
    return write_job(job).nbytes


def distance(tuned: Path, archive: Path, records: Path) -> tuple[float, float]:
    """(KL, share of flipped greedy tokens) on held-out records."""
    import torch

    checkpoint = open_checkpoint(tuned)
    tokenizer = load_tokenizer(checkpoint.sidecar)
    full = load_model(checkpoint, checkpoint.sidecar, "float32")
    found = open_model(f"{BASE} + {archive}")
    coded = load_model(found.tensors, found.sidecar, "float32")
    kl, flips = [], []
    with torch.no_grad():
        for line in records.read_text().splitlines()[:60]:
            text = " ".join(v for v in json.loads(line).values() if isinstance(v, str))[:600]
            ids = torch.tensor([tokenizer(text)["input_ids"][:200]])
            p, q = (m(input_ids=ids).logits.log_softmax(-1) for m in (full, coded))
            kl.append(float((p.exp() * (p - q)).sum(-1).mean()))
            flips.append(float((p.argmax(-1) != q.argmax(-1)).float().mean()))
    return sum(kl) / len(kl), sum(flips) / len(flips)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", type=Path)
    parser.add_argument("experts", nargs="+")
    parser.add_argument("--ratios", default="16,32")
    given = parser.parse_args()
    print("| expert | ratio | text | way | bytes | KL | flips % | seconds |\n|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for expert in given.experts:
            kind = expert.split("-")[0]
            own = given.family / f"{kind}.jsonl"
            runs = [("none", "without", None)]
            for name, text in (("built-in", None), ("its own", str(own))):
                sampling = Sampling(text, samples=128, length=128)
                runs += [(name, way, sampling) for way in ("of the base", "in sequence", "within layers too")]
            for ratio in map(float, given.ratios.split(",")):
                for i, (name, way, sampling) in enumerate(runs):
                    out = Path(folder) / f"{expert}-{ratio}-{i}"
                    kept = Path(folder) / f"h-{kind}-{name}" if way == "of the base" else None
                    request = Request(
                        str(BASE), str(given.family / expert), out, "svd_mixed", ratio, sampling=sampling,
                        hessians=kept, threads=1,
                    )  # fmt: skip
                    begin = time.perf_counter()
                    nbytes = compressed(request, way)
                    took = time.perf_counter() - begin
                    kl, flips = distance(given.family / expert, out, given.family / f"{kind}.test.jsonl")
                    print(
                        f"| {expert} | {ratio:g} | {name} | {way} | {nbytes:,} | {kl:.5f} | {100 * flips:.2f} "
                        f"| {took:.0f} |", flush=True,
                    )  # fmt: skip


if __name__ == "__main__":
    main()
