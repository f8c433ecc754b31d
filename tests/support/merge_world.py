"""A small family of models and the ways to merge it by the command line that faults are tried on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deltakit.checkpoint.open import open_checkpoint
from support.cli import Called, call
from support.merging import draw, store, tune
from support.models import save
from support.tensors import tensor

LAYER = {"mlp.up_proj.weight": (24, 32), "input_layernorm.weight": (24,)}
SHAPES = {f"model.layers.{i}.{part}": shape for i in (0, 1) for part, shape in LAYER.items()}
SHAPES |= {"model.embed_tokens.weight": (40, 24), "lm_head.weight": (40, 24)}

SLICES = """merge_method: ties
base_model: {base}
dtype: bfloat16
slices:
- sources:
  - {{model: {base}, layer_range: [0, 1]}}
  - {{model: {math}, layer_range: [0, 1], parameters: {{weight: 0.6, density: 0.7}}}}
  - {{model: {chat}, layer_range: [0, 1], parameters: {{weight: [0.2, 0.4], density: 0.7}}}}
- sources:
  - {{model: {base}, layer_range: [1, 2]}}
  - {{model: {math}, layer_range: [1, 2], parameters: {{weight: 0.6, density: 0.7}}}}
  - {{model: {chat}, layer_range: [1, 2], parameters: {{weight: 0.4, density: 0.7}}}}
"""
SLERP = """merge_method: slerp
base_model: {math}
dtype: bfloat16
slices:
- sources: [{{model: {math}, layer_range: [0, 2]}}, {{model: {chat}, layer_range: [0, 2]}}]
parameters: {{t: [{{filter: mlp, value: [0.2, 0.8]}}, {{value: 0.5}}]}}
"""
QUICK = {"sum": (), "ties": ("--method", "ties", "--density", "0.7"), "tsv_m": ("--method", "tsv_m")}
WAYS = (*QUICK, "slerp", "slices", "slerp slices")  # plain, trimmed, whole matrices, spheres, mergekit's configs


def config(path: Path) -> None:
    """The configuration of a model with these tensors."""
    path.write_text('{"model_type": "llama", "num_hidden_layers": 2, "torch_dtype": "bfloat16"}')


def family(folder: Path, dtype: str = "BF16") -> Path:
    """base, math and chat in a folder: fine-tunes of one base, two layers of two tensors, a head and embeddings."""
    base = draw(0, dtype, SHAPES)
    made = {"base": base, "math": tune(base, 1, dtype), "chat": tune(base, 2, dtype)}
    for name, arrays in made.items():
        config(Path(store(folder / name, arrays, dtype)) / "config.json")
    return folder


def way(folder: Path, kind: str, **models: object) -> list[object]:
    """The words of `deltakit merge` by which base, math and chat (or others in their place) are merged."""
    named: Mapping[str, Any] = {n: models.get(n, folder / n) for n in ("base", "math", "chat")}
    pair = ["--model", named["math"], "--model", named["chat"]]
    if kind in QUICK:
        return ["merge", "--base", named["base"], *pair, *QUICK[kind]]
    if kind == "slerp":
        return ["merge", *pair, "--method", "slerp", "--t", "0.4"]
    written = folder / f"{kind}.yml"
    written.write_text((SLICES if kind == "slices" else SLERP).format(**named))
    return ["merge", written]


def changed(model: Path, **arrays: Any) -> Path:
    """The model with some tensors replaced: names with _ for . and without `.weight`; None takes one out."""
    opened = open_checkpoint(model)
    tensors = {n: (s, bytes(opened.buffer(n))) for n, s in opened.specs.items()}
    for short, values in arrays.items():
        name = next((n for n in tensors if n.replace(".", "_") == f"{short}_weight"), f"{short}.weight")
        if values is None:
            del tensors[name]
        else:
            tensors[name] = tensor(np.asarray(values, np.float32), "BF16")
    save(model / "model.safetensors", tensors)
    return model


def files(folder: Path) -> dict[str, bytes]:
    """Every file of a folder; none where it does not exist."""
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())} if folder.exists() else {}


def refused(done: Called, code: int, *words: str) -> None:
    """It ended with this code, said these words, and printed no result."""
    assert done.code == code, (done.code, done.err)
    for word in words:
        assert word in done.err, done.err
    assert done.out == ""
    assert "Traceback" not in done.err


def merged(words: list[object], out: Path, *more: object) -> dict[str, Any]:
    """What a merge that must pass says of itself."""
    done = call(*words, "-o", out, "--format", "json", *more)
    assert done.code == 0, done.err
    return done.json
