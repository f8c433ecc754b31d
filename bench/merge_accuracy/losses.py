"""Every merging method on two small experts of a real base: held-out loss on both kinds of text.

    bench/real_input/run.sh runs/real            (makes the experts)
    python bench/merge_accuracy/losses.py runs/real ../shared/data -o merge-losses

The losses are nats per response token: on the reference solutions of the first 100 items of GSM8K's test file, and on
the first 100 seed tasks of self-instruct, none of which either expert has seen.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from run import recipes

from deltakit.data.records import Record, read_records
from deltakit.delta.open import open_model
from deltakit.errors import DeltakitError
from deltakit.generate import Host
from deltakit_eval.loss import held_out_loss


def math_records(data: Path) -> list[Record]:
    """Questions with their worked answers, as the math expert was trained on them."""
    return list(read_records(data / "gsm8k/test.jsonl", "gsm8k").records[:100])


def chat_records(data: Path) -> list[Record]:
    """The first instance of each seed task."""
    rows = [json.loads(line) for line in (data / "chat/self_instruct_seed_tasks.jsonl").read_text().splitlines()]
    return [Record(r["instruction"], r["instances"][0]["input"], r["instances"][0]["output"]) for r in rows][:100]


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experts", type=Path, help="A folder with base, math and chat.")
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    experts = given.experts.resolve()
    texts = (math_records(given.data), chat_records(given.data))
    models: dict[str, Any] = {
        "base": experts / "base",
        "expert: math": experts / "math",
        "expert: chat": experts / "chat",
    }
    models |= recipes(experts, given.output, experts / "base", vocabulary="math", scales=(0.5, 1.0))
    host = Host(device="cpu", dtype="float32")
    lines = ["| merge | math, nats | chat, nats | sum |", "|---|---:|---:|---:|"]
    for name, path in models.items():
        try:
            engine = host.serve(open_model(str(path)))
            found = [held_out_loss(engine, records)["loss"] for records in texts]
        except DeltakitError as wrong:
            lines.append(f"| {name} | {wrong.message} | | |")
        else:
            lines.append(f"| {name} | {found[0]:.3f} | {found[1]:.3f} | {sum(found):.3f} |")
        print(lines[-1], flush=True)
    (given.output / "table.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
