"""A base of some architecture with tenants of every kind, and what each must compute."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deltakit.compress.run.files import compress_files
from deltakit.compress.run.request import Request
from deltakit.delta.expression import total
from deltakit.delta.file.extract import extract
from deltakit.delta.open import open_model
from deltakit.runtime import load_model
from deltakit.tensors import Mapped, TensorSpec, from_float32
from support.architectures import saved, tiny
from support.models import save, save_tokenizer

CODECS = ("svd_mixed", "sign(scale='row')", "lowrank(rank=3)")
NAMES = {"BF16": "bfloat16", "F32": "float32"}


@dataclass(frozen=True)
class World:
    """`texts`: tenant to MODEL string; None is the base."""

    base: Path
    texts: Mapping[str | None, str]


def folder(
    path: Path, kind: str, seed: int, like: Path | None = None, dtype: str = "F32", extra: int = 0, **changes: Any
) -> Path:
    """A tiny model with random weights, or those of `like`, each moved a little; `extra` more rows of vocabulary."""
    made = tiny(kind, seed, vocab_size=88 + extra, **changes)
    held = {n: np.frombuffer(made.tensors.buffer(n), np.float32) for n in made.tensors.specs}
    if like is not None:
        old, noise = open_model(str(like)).tensors, np.random.default_rng(seed)
        for name, values in held.items():
            if name in old.specs:
                before = floats(old, name)
                moved = before + 0.05 * noise.standard_normal(before.size).astype(np.float32)
                held[name] = np.concatenate([moved[: values.size], values[before.size :]])
    specs = {n: TensorSpec(s.shape, dtype) for n, s in made.tensors.specs.items()}
    save(path / "model.safetensors", {n: (specs[n], from_float32(held[n], dtype).tobytes()) for n in specs})
    config = json.loads(made.sidecar.files["config.json"])
    (path / "config.json").write_text(json.dumps({**config, "dtype": NAMES[dtype]}))
    save_tokenizer(path, 88 + extra)
    return path


def floats(tensors: Any, name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A tensor as flat float32."""
    from deltakit.tensors import to_float32

    return to_float32(tensors.buffer(name), tensors.specs[name].dtype).ravel()


def world(path: Path, kind: str, dtype: str = "F32", **changes: Any) -> World:
    """A base, archives of three codecs, one exact with five more tokens, and a mix of two of them."""
    base = folder(path / "base", kind, 0, dtype=dtype, **changes)
    texts: dict[str | None, str] = {None: str(base)}
    for i, codec in enumerate(CODECS):
        name = codec.partition("(")[0]
        tuned = folder(path / name, kind, i + 1, base, dtype, **changes)
        out = path / f"{name}.archive"
        compress_files(Request(str(base), str(tuned), out, codec, ratio=4.0 if name == "svd_mixed" else None))
        texts[name] = f"{base} + {out}"
    more = folder(path / "more", kind, 9, base, dtype, extra=5, **changes)
    extract(str(base), str(more), path / "exact.delta")
    texts["exact"] = f"{base} + {path / 'exact.delta'}"
    texts["mix"] = f"{base} + 0.6*{path / 'svd_mixed.archive'} + 0.4*{path / 'lowrank.archive'}"
    return World(base, texts)


def written(text: str, *, rounded: bool = True) -> Any:
    """The model that a MODEL string names, built alone, in float32 arithmetic; `rounded`: of the weights as they are
    written in the stored dtype, else of the unrounded sums."""
    model = open_model(text)
    tensors = model.tensors if rounded or model.delta is None else _unrounded(model)
    return load_model(tensors, model.sidecar, "float32")


def _unrounded(model: Any) -> Mapped:
    delta = model.tensors.delta
    made = {}
    for name, spec in delta.specs.items():
        entry = delta.entries[name]
        values = floats(model.base, name)[: entry.shared * spec.row_size] if name in model.base.specs else np.empty(0)
        values = values + total(entry.parts, 0, entry.shared, spec.row_size).ravel()
        rest = entry.added.rows(0, entry.added.spec.rows).ravel() if entry.added is not None else np.empty(0)
        made[name] = (TensorSpec(spec.shape, "F32"), np.concatenate([values, rest]).astype(np.float32))
    specs = {n: s for n, (s, _) in made.items()}

    def pull(name: str, lo: int, hi: int) -> bytes:
        spec, values = made[name]
        return values.reshape(spec.shape)[lo:hi].tobytes()

    return Mapped(specs, pull)


@torch.no_grad()
def alone(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """Logits (tokens, vocabulary) of one row in a model of its own."""
    found: torch.Tensor = model(input_ids=ids[None], use_cache=False, attention_mask=torch.ones_like(ids)[None]).logits[
        0
    ]
    return found


@torch.no_grad()
def together(resident: Any, names: list[str | None], ids: torch.Tensor) -> torch.Tensor:
    """Logits of a batch whose rows belong to tenants."""
    with resident.rows(names) as model:
        found: torch.Tensor = model(input_ids=ids, use_cache=False, attention_mask=torch.ones_like(ids)).logits
    return found


def error(found: torch.Tensor, want: torch.Tensor) -> float:
    """The largest difference, relative to the largest logit; the widths must agree, and what is behind be -inf."""
    width = want.shape[-1]
    assert bool((found[..., width:] == float("-inf")).all())
    return float((found[..., :width] - want).abs().max() / want.abs().max())


__all__ = ["CODECS", "World", "alone", "error", "floats", "folder", "saved", "together", "world", "written"]
