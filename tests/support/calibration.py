"""Runnable families for methods that look at text, and the slow ways to watch whole models at work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deltakit.calibrate.batches import encode_text
from deltakit.calibrate.text import open_text
from deltakit.checkpoint.open import open_checkpoint
from deltakit.runtime import load_model, load_tokenizer
from deltakit.tensors import Mapped, TensorSpec
from support.merging import Arrays, plan, values
from support.models import tiny_llama, tiny_tuned

TEXT = {"samples": 3, "length": 16, "batch": 2}  # 48 tokens of the built-in text


def runnable(folder: Path, count: int = 2, dtype: str = "F32", size: float = 1.0, **base: Any) -> tuple[str, list[str]]:
    """(base, models) as folders that transformers runs."""
    parent = tiny_llama(folder / "base", 0, dtype, **base)
    models = [tiny_tuned(parent, folder / f"m{i}", 10 + i, size=size) for i in range(count)]
    return str(parent), [str(m) for m in models]


def ids(folder: str, text: str | None = None, **settings: int) -> torch.Tensor:
    """The token ids that calibration takes, (samples, length)."""
    given = {**TEXT, **settings}
    tokenizer = load_tokenizer(open_checkpoint(folder).sidecar)
    return torch.from_numpy(encode_text(open_text(text), tokenizer, **given).ids)


def arrays(folder: str) -> Arrays:
    return values(open_checkpoint(folder))


def running(like: str, weights: Mapping[str, Any]) -> Any:
    """The transformers model of a folder's configuration with other weights, float32."""
    held = {n: np.ascontiguousarray(weights[n], np.float32) for n in sorted(weights)}
    specs = {n: TensorSpec(a.shape, "F32") for n, a in held.items()}
    return load_model(Mapped(specs, lambda n, lo, hi: held[n][lo:hi].tobytes()), open_checkpoint(like).sidecar)


def inputs(model: Any, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
    """What enters each linear module: (tokens, in) float64, by the name of its weight."""
    seen: dict[str, torch.Tensor] = {}
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):

            def keep(module: Any, args: Any, name: str = name) -> None:
                seen[name + ".weight"] = args[0].reshape(-1, args[0].shape[-1]).double()

            hooks.append(module.register_forward_pre_hook(keep))
    with torch.no_grad():
        model(input_ids=tokens)
    for hook in hooks:
        hook.remove()
    return seen


def layer_output(model: Any, tokens: torch.Tensor, layer: int) -> torch.Tensor:
    """What a layer gives; -1: the embeddings, the number of layers: the logits."""
    if layer == len(model.model.layers):
        with torch.no_grad():
            logits: torch.Tensor = model(input_ids=tokens).logits
        return logits
    seen: list[torch.Tensor] = []
    module = model.model.embed_tokens if layer < 0 else model.model.layers[layer]
    hook = module.register_forward_hook(lambda m, a, out: seen.append(out[0] if isinstance(out, tuple) else out))
    with torch.no_grad():
        model(input_ids=tokens)
    hook.remove()
    return seen[0]


def layer_of(name: str, layers: int = 2) -> int:
    """The stage of a tensor: -1 for embeddings, the layer's number, or the number of layers for the head."""
    if ".layers." in name:
        return int(name.split(".layers.")[1].split(".")[0])
    return -1 if "embed" in name else layers


WEIGHTS = (0.7, 1.2)


def items(models: list[str], weights: tuple[float, ...] = WEIGHTS) -> list[dict[str, Any]]:
    return [{"model": m, "weight": w, "name": f"n{i}"} for i, (m, w) in enumerate(zip(models, weights, strict=True))]


def merged(method: str, base: str | None, models: list[dict[str, Any]], **more: Any) -> Arrays:
    return values(plan(method, base, models, calibration=TEXT, **more).tensors)


def gram(x: torch.Tensor, alpha: float) -> torch.Tensor:
    full = x.T @ x
    return alpha * full + (1 - alpha) * torch.diag(torch.diagonal(full))


def solved(name: str, tuned: list[Arrays], xs: list[dict[str, torch.Tensor]], alpha: float) -> torch.Tensor:
    """The paper's closed form, in float64, for weights as they stand in the checkpoint (out, in)."""
    if name not in xs[0]:
        return sum(w * torch.from_numpy(t[name]).double() for w, t in zip(WEIGHTS, tuned, strict=True)) / sum(WEIGHTS)
    grams = [w * gram(x[name], alpha) for w, x in zip(WEIGHTS, xs, strict=True)]
    right = sum(g @ torch.from_numpy(t[name]).double().T for g, t in zip(grams, tuned, strict=True))
    return torch.linalg.solve(sum(grams), right).T
