"""How far two merged models are apart: bits, distances in bf16 ulps, statistics, configurations, tokenizers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jinja2.sandbox import ImmutableSandboxedEnvironment
from safetensors import safe_open
from tokenizers import Tokenizer
from transformers import AutoConfig

ROWS = ("model.embed_tokens.weight", "lm_head.weight")  # one row a token
UNLIKE = ("transformers_version", "_name_or_path")  # what two tools cannot agree on
MUST = (
    "dtype",
    "num_hidden_layers",
    "vocab_size",
    "tie_word_embeddings",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
)

Tensors = dict[str, torch.Tensor]


@dataclass
class Distance:
    """`equal` is the share of elements with equal bits, `ulp` the largest distance in bf16 ulps, `where` the tensor
    that has it; `apart` are tensors or shapes that only one has."""

    equal: float = 1.0
    ulp: float = 0.0
    where: str = ""
    apart: list[str] = field(default_factory=list)


def tensors_of(folder: Path) -> Tensors:
    """All tensors of a model folder."""
    found: Tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as opened:
            names = opened.keys()
            found |= {name: opened.get_tensor(name) for name in names}
    return found


def distance(ours: Tensors, theirs: Tensors) -> Distance:
    """Element by element."""
    out, same, count = Distance(), 0, 0
    out.apart = [f"{n} only in one" for n in sorted(set(ours) ^ set(theirs))]
    for name in sorted(set(ours) & set(theirs)):
        a, b = ours[name], theirs[name]
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            out.apart.append(f"{name}: {tuple(a.shape)} {a.dtype}, {tuple(b.shape)} {b.dtype}")
            continue
        same, count = same + int((a == b).sum()), count + a.numel()
        ulp = ulps(a, b)
        if ulp > out.ulp:
            out.ulp, out.where = ulp, name
    out.equal = same / max(count, 1)
    return out


def ulps(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest distance, in ulps of bf16 at the larger of the two magnitudes: for bf16 tensors, steps between them.

    Where values cancel to less than 1/256 of the tensor's root mean square, the ulp is the one there: float32 sums of
    other orders differ by more than such a value's own.
    """
    a, b = a.double(), b.double()
    if not a.numel():
        return 0.0
    floor = b.square().mean().sqrt() / 256
    _, exponent = torch.frexp(torch.maximum(torch.maximum(a.abs(), b.abs()), floor))
    step = torch.ldexp(torch.ones_like(a), exponent - 8)  # 8 significant bits
    return float(torch.where(a == b, 0.0, (a - b).abs() / step).max())


def in_order_of(tensors: Tensors, have: dict[str, int], want: dict[str, int]) -> Tensors:
    """The rows of each token where the other tool has put them."""
    order = {have[token]: want[token] for token in have if token in want}
    if all(a == b for a, b in order.items()):
        return tensors
    out = dict(tensors)
    for name in ROWS:
        if name in out:
            rows = out[name].clone()
            for a, b in order.items():
                rows[b] = out[name][a]
            out[name] = rows
    return out


def statistics(merged: Tensors, base: Tensors, models: list[Tensors]) -> dict[str, float]:
    """What a random method promises, over the whole model: how many elements it changes, the size of the change, and
    its projection on each model's delta."""
    names = sorted(base)
    delta = torch.cat([(merged[n].double() - base[n].double()).flatten() for n in names])
    found = {
        "changed": float((delta != 0).double().mean()),
        "mean size": float(delta.abs().mean()),
        "root mean square": float(delta.square().mean().sqrt()),
    }
    for i, model in enumerate(models, 1):
        own = torch.cat([(model[n].double() - base[n].double()).flatten() for n in names])
        found[f"projection on model {i}"] = float((delta @ own) / (own @ own))
    return found


def config_differences(ours: Path, theirs: Path) -> tuple[list[str], list[str]]:
    """(keys that must agree and do not, other keys that differ), as transformers reads them."""
    a, b = (_config(folder) for folder in (ours, theirs))
    unlike = [k for k in sorted(set(a) | set(b)) if k not in UNLIKE and a.get(k) != b.get(k)]
    return [k for k in unlike if k in MUST], [k for k in unlike if k not in MUST]


def _config(folder: Path) -> dict[str, Any]:
    written = json.loads((folder / "config.json").read_text())
    for key in {"dtype", "torch_dtype"} & set(written):  # mergekit writes "torch.bfloat16", which transformers refuses
        written[key] = str(written[key]).removeprefix("torch.")
    found: dict[str, Any] = AutoConfig.for_model(**written).to_dict()
    return {k: str(v).removeprefix("torch.") if k == "dtype" else v for k, v in found.items()}


def vocabulary(folder: Path) -> dict[str, int]:
    """Token to id; nothing where there is no tokenizer."""
    path = folder / "tokenizer.json"
    return Tokenizer.from_file(str(path)).get_vocab() if path.exists() else {}


TALK = [{"role": "user", "content": "How are you?"}, {"role": "assistant", "content": "Well."}]


def said(folder: Path) -> tuple[str, ...]:
    """A talk as the folder's chat template writes it, wherever the template stands; with and without a next turn."""
    own, path = folder / "chat_template.jinja", folder / "tokenizer_config.json"
    text = (
        own.read_text() if own.exists() else json.loads(path.read_text()).get("chat_template") if path.exists() else ""
    )
    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(
        text or ""
    )  # as transformers
    return tuple(made.render(messages=TALK, add_generation_prompt=more) for more in (False, True))
