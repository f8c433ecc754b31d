"""Results as `deltakit eval -o` writes them, with numbers made up."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WHOLE = 2_900_000
ROWS = (  # name, bytes on disk, right of 200 on toy_math, on toy_chat
    ("base", WHOLE, 0, 0), ("experts: math", WHOLE, 200, 0), ("experts: chat", WHOLE, 0, 199),
    ("DARE: 0.5, rescaled", 900_000, 199, 0), ("DARE: 0.2, rescaled", 420_000, 188, 0),
    ("DARE: 0.2, as it is", 420_000, 2, 0),
    ("merges: ties", WHOLE, 120, 70), ("merges: 0.7 math + 0.7 chat", 3_300_000, 148, 86),
    ("codecs: svd_mixed", 199_500, 200, 0), ("codecs: lowrank", 199_900, 191, 0), ("codecs: sign", 200_000, 152, 0),
)  # fmt: skip


def task(right: float, n: int = 200) -> dict[str, Any]:
    p = right / n
    return {"accuracy": p, "stderr": math.sqrt(p * (1 - p) / (n - 1)), "n": n, "headline": "exact_match,marked"}


def result(rows: Sequence[tuple[str, int | None, float, float]] = ROWS, **more: Any) -> dict[str, Any]:
    models = [
        {"name": name, "model": f"models/{name}", "bytes": size, "model_bytes": WHOLE, "loss": None,
         "tasks": {"toy_math": task(math_right), "toy_chat": task(chat_right)}}
        for name, size, math_right, chat_right in rows
    ]  # fmt: skip
    about = {"n": 200, "documents": "sha256:00"}
    return {"schema_version": 1, "action": "eval", "models": models, "tasks": {"toy_math": about, "toy_chat": about},
            "settings": {"limit": 200, "style": None}, "versions": {"torch": "2.13"}, **more}  # fmt: skip


def comparison(layers: int = 4) -> dict[str, Any]:
    modules = ("mlp.down_proj", "mlp.up_proj", "self_attn.q_proj")
    names = [f"model.layers.{i}.{m}.weight" for i in range(layers) for m in modules]
    tensors = [{"name": name, "relative": 0.01 * (i + 1)} for i, name in enumerate(names)]
    outside = [{"name": "model.embed_tokens.weight", "relative": 0.5}]
    return {"first": "base", "second": "math", "summary": {"relative": 0.123}, "tensors": outside + tensors}


def write_json(path: Path, found: Mapping[str, Any]) -> Path:
    path.write_text(json.dumps(found))
    return path


def write_losses(folder: Path, steps: int = 300) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [{"step": s, "loss": 3.0 * math.exp(-s / 80) + 0.1} for s in range(10, steps + 1, 10)]
    lines += [{"step": s, "holdout_loss": 3.1 * math.exp(-s / 80) + 0.12} for s in range(100, steps + 1, 100)]
    (folder / "loss.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder
