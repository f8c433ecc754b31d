"""A delta as a PEFT LoRA folder: the factors of adapters side by side, or a product cut back to a rank.

Every module gets alpha = r, so that its delta is B A and nothing else. Side by side is exact: c1 B1 A1 + c2 B2 A2 =
[c1 B1, c2 B2] [A1; A2], and ranks add up. (Averaging the factors is not: it makes cross terms B1 A2 and B2 A1.)
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from deltakit.checkpoint.job import Job, prepare
from deltakit.checkpoint.open import Checkpoint
from deltakit.checkpoint.pump import cores
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.delta.adapter import Adapter, is_adapter, open_adapter
from deltakit.delta.applied import Applied
from deltakit.delta.expression import Delta, Entry, Part
from deltakit.delta.measure.decompose import product, svd
from deltakit.delta.measure.threads import one_thread
from deltakit.delta.names import meet
from deltakit.delta.once import Whole
from deltakit.delta.terms.base import Float32
from deltakit.delta.terms.lowrank import LowRank
from deltakit.errors import MismatchError
from deltakit.tensors import Mapped, TensorMap, TensorSpec, as_bytes, from_float32

__all__ = ["Cut", "Lora", "Rank", "Wanted", "adapters_among", "as_lora", "lora_job"]

Rank = Literal["exact"] | int
Cut = Callable[[str, Float32, int], tuple[Float32, Float32]]

_FILE = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_TABLES = re.compile(r"emb|(^|\.)(wte|wpe|shared)(\.|$)")  # modules that look rows up: peft factors them transposed
_HEADS = re.compile(r"(^|\.)(lm_head|output|embed_out)$")
# Models whose linear layers are Conv1D, stored (in, out).
_CONV1D = ("gpt2", "openai-gpt", "imagegpt", "decision_transformer")


@dataclass(frozen=True)
class Wanted:
    """That a result is to be an adapter: of what rank, and with factors of what dtype.

    `served`: for engines that hold many adapters over one base (vLLM): one rank everywhere, factors and nothing else;
    what they cannot hold is left out and named. `cut(tensor, matrix, rank)` gives (rows, r) and (columns, r) in
    place of the truncated SVD.
    """

    rank: Rank
    dtype: str = "F32"
    served: bool = False
    cut: Cut | None = None


@dataclass(frozen=True)
class Lora:
    """An adapter: its tensors, adapter_config.json, the tensors that it holds factors of, and what it leaves out
    (tensor to reason)."""

    tensors: TensorMap
    config: Mapping[str, Any]
    factored: tuple[str, ...]
    dropped: Mapping[str, str]


@dataclass(frozen=True)
class _Target:
    """A factored tensor: its module, the rank of its factors, and whether the tensor is stored (in, out)."""

    tensor: str
    spec: TensorSpec
    module: str
    rank: int
    swapped: bool
    table: bool

    def names(self) -> tuple[str, str]:
        """Of B (out, r) and of A (r, in)."""
        end = ("lora_embedding_B", "lora_embedding_A") if self.table else ("lora_B.weight", "lora_A.weight")
        return f"{_PREFIX}{self.module}.{end[0]}", f"{_PREFIX}{self.module}.{end[1]}"

    def shapes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Of B and A."""
        out, inner = reversed(self.spec.shape) if self.swapped else self.spec.shape
        return (out, self.rank), (self.rank, inner)


def lora_job(
    delta: Delta, base: TensorMap, out: Path, wanted: Wanted, *, adapters: Sequence[Adapter], base_name: str,
    manifest: Mapping[str, Any], card: bytes, inputs: Sequence[Checkpoint] = (), allow_nonfinite: bool = False,
) -> Job:  # fmt: skip
    """The writing of `as_lora` into the folder `out`: whole or not at all, resumable, with a manifest."""
    made = as_lora(delta, base, wanted, adapters=adapters, base_name=base_name)
    tensors = made.tensors
    text = (json.dumps(made.config, indent=2, sort_keys=True) + "\n").encode()
    sidecar = Sidecar().with_files({"README.md": card, "adapter_config.json": text})
    all_bytes = sum(s.nbytes for s in tensors.specs.values())
    job = prepare(tensors, out, sidecar, manifest, all_bytes + 1, inputs=inputs, allow_nonfinite=allow_nonfinite)
    (old,) = job.layout.sizes
    places = {n: replace(p, file=_FILE) for n, p in job.layout.places.items()}
    headers, sizes = {_FILE: job.layout.headers[old]}, {_FILE: job.layout.sizes[old]}
    return replace(job, layout=replace(job.layout, headers=headers, sizes=sizes, places=places))


def as_lora(
    delta: Delta, base: TensorMap, wanted: Wanted, *, adapters: Sequence[Adapter] = (), base_name: str = ""
) -> Lora:
    """The adapter that makes `delta` (bound) of `base`.

    rank "exact": every changed matrix must be a sum of products, whose factors are stored side by side. A number: what
    has a larger rank, or none, is cut to its best approximation of that rank. Norms, and embeddings and heads that are
    no products, are stored whole (modules_to_save), unless the adapter is to be served. `adapters` lend the names of
    their modules. Raises MismatchError that lists every tensor which an adapter cannot hold.
    """
    names = {t: m for a in adapters for m, t in meet(a.modules, base.specs).items()}
    swapped = _swapped(delta, base, adapters)
    targets, saved, problems = list[_Target](), list[str](), dict[str, str]()
    for name, spec in delta.specs.items():
        found = _place(name, delta.entries[name], spec, wanted, names, swapped)
        if isinstance(found, _Target):
            targets.append(found)
        elif found == "whole":
            saved.append(name)
        elif found:
            problems[name] = found
    problems |= _halves({t.module for t in targets}, saved)
    if (problems and not wanted.served) or not (targets or saved):
        raise MismatchError(
            "this delta does not fit in a LoRA adapter",
            details=[f"{n} {list(delta.specs[n].shape)}: {why}" for n, why in problems.items()] or ["nothing changes"],
            remedy="write a model folder or a .delta file, or give a rank where products are missing",
        )  # fmt: skip
    if wanted.served:
        rank = max(t.rank for t in targets)
        targets = [replace(t, rank=rank) for t in targets]
    modules = sorted({n.rpartition(".")[0] for n in saved})
    config = _config(targets, modules, adapters, base_name, bool(swapped))
    if wanted.served:
        config |= {"target_modules": _endings(targets, base), "task_type": _task(base)}
    tensors = _tensors(delta, base, targets, saved, wanted)
    return Lora(tensors, config, tuple(t.tensor for t in targets), problems)


def adapters_among(sources: Sequence[str]) -> tuple[Adapter, ...]:
    """The PEFT folders among MODEL strings."""
    return tuple(open_adapter(s) for s in sources if Path(s).is_dir() and is_adapter(Path(s)))


def _swapped(delta: Delta, base: TensorMap, adapters: Sequence[Adapter]) -> bool:
    """Whether linear layers are stored (in, out)."""
    sidecar = getattr(base, "sidecar", delta.sidecar)
    return any(a.config.get("fan_in_fan_out") for a in adapters) or (sidecar.config or {}).get("model_type") in _CONV1D


def _place(
    name: str, entry: Entry, spec: TensorSpec, wanted: Wanted, names: Mapping[str, str], swapped: bool
) -> _Target | str:
    """Where a tensor goes: a target, "whole", "" (unchanged), or what is wrong."""
    if entry.shared < spec.rows or entry.added is not None:
        return "has rows that the base lacks"
    parts = [p for p in entry.parts if p.coef != 0.0]
    if not parts:
        return ""
    module, _, end = name.rpartition(".")
    table, head = _TABLES.search(module) is not None, _HEADS.search(module) is not None
    terms = [p.term for p in parts if isinstance(p.term, LowRank)]
    total = sum(t.rank for t in terms) if len(terms) == len(parts) else 0
    if wanted.served and (table or head or len(spec.shape) == 1):
        return "engines serve no tensors of a tenant but factors of its inner layers"
    if not total and (table or head or len(spec.shape) == 1):
        return "whole"
    if end != "weight" or len(spec.shape) != 2 or not spec.is_float:
        return "an adapter factors the weights of linear layers alone"
    if not total and wanted.rank == "exact":
        return "is no product of factors, so it has no exact ones"
    kept = total if wanted.rank == "exact" or 0 < total <= wanted.rank else min(wanted.rank, *spec.shape)
    if wanted.served and wanted.rank != "exact":
        kept = wanted.rank
    return _Target(name, spec, names.get(name, module), kept, table or (swapped and not head), table)


def _halves(factored: set[str], saved: Sequence[str]) -> dict[str, str]:
    """A module is factored or stored whole, not both."""
    wrong = [n for n in saved if n.rpartition(".")[0] in factored]
    return {n: "its module has factors, and an adapter keeps no bias beside them" for n in wrong}


def _config(
    targets: Sequence[_Target], saved: Sequence[str], adapters: Sequence[Adapter], base_name: str, swapped: bool
) -> dict[str, Any]:
    """adapter_config.json: alpha = r everywhere; other ranks than the commonest stand in the patterns."""
    common = Counter(t.rank for t in targets).most_common(1)[0][0] if targets else 1
    patterns = {re.escape(t.module): t.rank for t in targets if t.rank != common}
    shared = {k: {a.config.get(k) for a in adapters} for k in ("task_type", "base_model_name_or_path")}
    agreed = {k: next(iter(v)) for k, v in shared.items() if len(v) == 1}
    return {
        "peft_type": "LORA", "task_type": agreed.get("task_type"), "r": common, "lora_alpha": common,
        "base_model_name_or_path": agreed.get("base_model_name_or_path") or base_name,
        "target_modules": sorted(t.module for t in targets), "modules_to_save": list(saved) or None,
        "rank_pattern": patterns, "alpha_pattern": patterns, "fan_in_fan_out": swapped, "bias": "none",
        "lora_dropout": 0.0, "inference_mode": True, "init_lora_weights": True, "use_rslora": False, "use_dora": False,
    }  # fmt: skip


def _endings(targets: Sequence[_Target], base: TensorMap) -> list[str]:
    """Modules by the last part of their names ("q_proj") where all that end so are meant, else by their whole names."""
    meant = {t.module for t in targets}
    all_modules = {n.removesuffix(".weight") for n in base.specs}
    found = set()
    for module in meant:
        end = module.rpartition(".")[2]
        alike = {m for m in all_modules if m.rpartition(".")[2] == end}
        found.add(end if alike <= meant else module)
    return sorted(found)


def _task(base: TensorMap) -> str | None:
    """What peft calls the task of a causal language model; None for other models."""
    sidecar = getattr(base, "sidecar", Sidecar())
    names = (sidecar.config or {}).get("architectures") or ()
    return "CAUSAL_LM" if any(str(n).endswith(("ForCausalLM", "LMHeadModel")) for n in names) else None


def _tensors(
    delta: Delta, base: TensorMap, targets: Sequence[_Target], saved: Sequence[str], wanted: Wanted
) -> TensorMap:
    """All tensors of the adapter's file, lazily; the two factors of a module are made together, once."""
    model = Applied(base, delta)
    by_name = {n: (t, side) for t in targets for side, n in enumerate(t.names())}
    specs = {n: TensorSpec(t.shapes()[side], wanted.dtype) for n, (t, side) in by_name.items()}
    specs |= {_PREFIX + n: delta.specs[n] for n in saved}
    known = {t.tensor: t for t in targets}
    made = Whole(lambda name: _stacked(delta, known[name], wanted.cut), kept=cores() + 1)

    def pull(name: str, lo: int, hi: int) -> memoryview:
        if name not in by_name:
            return model.buffer(name.removeprefix(_PREFIX), lo, hi)
        target, side = by_name[name]
        (outs, _), (_, inner) = target.shapes()
        rows = made.pull(target.tensor, lo, hi) if side == 0 else made.pull(target.tensor, outs, outs + inner).T[lo:hi]
        return as_bytes(from_float32(np.ascontiguousarray(rows), wanted.dtype))

    return Mapped({n: specs[n] for n in sorted(specs)}, pull)


def _stacked(delta: Delta, target: _Target, cut: Cut | None) -> Float32:
    """B over Aᵀ, (out + in, r)."""
    left, right = _factors(delta, target, cut)
    pad = ((0, 0), (0, target.rank - left.shape[1]))
    return np.concatenate([np.pad(side, pad) for side in ((right, left) if target.swapped else (left, right))])


def _factors(delta: Delta, target: _Target, cut: Cut | None) -> tuple[Float32, Float32]:
    """(rows, r) and (columns, r) whose product is the tensor's delta, or comes nearest to it. What is cut has its
    singular values shared evenly by both; r is at most the target's."""
    parts = [p for p in delta.entries[target.tensor].parts if p.coef != 0.0]
    beside = _beside(parts)
    if beside is not None and beside[0].shape[1] <= target.rank:
        return beside
    if cut is not None:
        return cut(target.tensor, delta.rows(target.tensor, 0, target.spec.rows), target.rank)
    if beside is not None:
        u, s, v = _product(*beside, target.rank)
    else:
        u, s, v = svd(delta.rows(target.tensor, 0, target.spec.rows), target.rank)
    return u * np.sqrt(s), v * np.sqrt(s)


def _beside(parts: Sequence[Part]) -> tuple[Float32, Float32] | None:
    """The factors of all parts side by side, None where one has no factors."""
    terms = [p.term for p in parts if isinstance(p.term, LowRank)]
    if len(terms) < len(parts):
        return None
    found = [t.factors() for t in terms]
    left = np.concatenate([u * (s * np.float32(p.coef)) for p, (u, s, _) in zip(parts, found, strict=True)], axis=1)
    return left, np.concatenate([v for _, _, v in found], axis=1)


def _product(left: Float32, right: Float32, rank: int) -> tuple[Float32, Float32, Float32]:
    import torch

    with one_thread():
        u, s, v = (f.float().numpy() for f in product(torch.from_numpy(left), torch.from_numpy(right), rank))
        return u, s, v
