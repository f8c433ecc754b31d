"""A PEFT LoRA folder as a delta: ΔW = scaling * B A for every pair (LoRA: arXiv 2106.09685, rsLoRA: 2312.03732)."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import Checkpoint, open_checkpoint
from deltakit.delta.expression import Delta, Entries, Entry, Lineage, Part
from deltakit.delta.names import meet
from deltakit.delta.terms.base import Float32
from deltakit.delta.terms.lowrank import LowRank
from deltakit.delta.terms.ref import Ref
from deltakit.errors import InputError, MismatchError, UnsafeError
from deltakit.tensors import Mapped, TensorMap, TensorSpec, cast_bytes, to_float32

__all__ = ["Adapter", "adapter_delta", "is_adapter", "open_adapter"]

_PAIR = re.compile(r"^base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight$")
_EMBEDDING = re.compile(r"^base_model\.model\.(?P<module>.+)\.lora_embedding_(?P<side>[AB])$")
# What peft puts between a module and its own copy of a whole weight (an embedding with LoRA is saved whole, too).
_WRAPPERS = re.compile(r"\.(modules_to_save(\.default)?|base_layer)(?=\.)")
_UNSUPPORTED = ("use_dora", "lora_bias", "use_qalora", "megatron_config")


_LOG = logging.getLogger("deltakit")


@dataclass(frozen=True)
class Adapter:
    """An open PEFT folder."""

    path: Path
    config: Mapping[str, Any]
    weights: Checkpoint

    @property
    def modules(self) -> list[str]:
        """The modules that have a pair of factors."""
        return sorted({m["module"] for n in self.weights.specs if (m := _match(n))})

    def scaling(self, module: str) -> float:
        """alpha / r, or alpha / sqrt(r) for rsLoRA, with the patterns of the config."""
        rank = int(_pattern(self.config.get("rank_pattern"), module, self.config["r"]))
        alpha = float(_pattern(self.config.get("alpha_pattern"), module, self.config["lora_alpha"]))
        return alpha / math.sqrt(rank) if self.config.get("use_rslora") else alpha / rank

    def factors(self, module: str) -> tuple[Float32, Float32]:
        """(B (out, r), A (r, in)) with ΔW (out, in) = scaling * B @ A, as PEFT stores them."""
        found = {m["side"]: n for n in self.weights.specs if (m := _match(n)) and m["module"] == module}
        if set(found) != {"A", "B"}:
            raise InputError(
                f"{self.path}: module {module!r} has only factor {', '.join(found)}", remedy="save it again"
            )
        return self._matrix(found["B"]), self._matrix(found["A"])

    def is_embedding(self, module: str) -> bool:
        """True where the factors belong to an embedding, whose ΔW is (B A)ᵀ."""
        return any((m := _EMBEDDING.match(n)) and m["module"] == module for n in self.weights.specs)

    def _matrix(self, name: str) -> Float32:
        spec = self.weights.specs[name]
        return to_float32(self.weights.buffer(name), spec.dtype).reshape(spec.shape)


def is_adapter(path: Path) -> bool:
    """True for a PEFT folder."""
    return (path / "adapter_config.json").is_file()


def open_adapter(path: str | Path) -> Adapter:
    """Open a PEFT LoRA folder; what its arithmetic does not cover is refused, never ignored."""
    path = Path(path)
    config = json.loads((path / "adapter_config.json").read_text())
    if config.get("peft_type") != "LORA":
        raise InputError(
            f"{path}: a {config.get('peft_type')} adapter", remedy="merge it with peft, then extract the delta"
        )
    wrong = [k for k in _UNSUPPORTED if config.get(k)]
    if wrong:
        raise InputError(
            f"{path}: the adapter uses {', '.join(wrong)}", remedy="merge it with peft, then extract the delta"
        )
    weights = path / "adapter_model.safetensors"
    if not weights.is_file():
        pickled = (path / "adapter_model.bin").is_file()
        kind = UnsafeError if pickled else InputError
        raise kind(f"{path}: no adapter_model.safetensors", remedy="save the adapter with safe_serialization=True")
    return Adapter(path, config, open_checkpoint(weights))


def adapter_delta(adapter: Adapter, base: TensorMap, *, name: str = "", proved: bool = False) -> Delta:
    """The adapter over a base: low-rank terms, and whole tensors for `modules_to_save`. Shapes are checked at once.
    `proved`: that it belongs to this base is known, and no warning is due."""
    targets = meet(adapter.modules, base.specs)
    by_name = {n: m for m, n in targets.items()}
    saved = _saved(adapter, base)
    problems = [p for m, n in targets.items() if (p := _misfit(adapter, m, base.specs[n]))]
    if problems:
        raise MismatchError(f"{adapter.path} does not fit the base", remedy="name its true base", details=problems)

    def make(tensor: str) -> Entry:
        spec = base.specs[tensor]
        parts: tuple[Part, ...] = (Part(1.0, Ref(spec, tensor, base, saved)),) if tensor in saved.specs else ()
        if tensor in by_name:
            parts += (Part(1.0, _term(adapter, by_name[tensor], spec)),)
        return Entry(spec, spec.rows, parts)

    if not proved:
        _LOG.warning("%s", _unproved(adapter))
    note = {"adapter": {"r": adapter.config["r"], "alpha": adapter.config["lora_alpha"]}}
    lineage = Lineage(fingerprint(base), fingerprint(adapter.weights), name, note)
    return Delta(Entries(base.specs, make), (), lineage)


def _unproved(adapter: Adapter) -> str:
    """Law 8: a delta file proves its base by its fingerprint; an adapter holds none."""
    named = adapter.config.get("base_model_name_or_path") or "no base"
    return f"{adapter.path} holds no fingerprint of its base (it names {named}): shapes fit, the rest is up to you"


def _term(adapter: Adapter, module: str, spec: TensorSpec) -> LowRank:
    up, down = adapter.factors(module)
    up = up * np.float32(adapter.scaling(module))
    if _transposed(adapter, module):
        up, down = down.T, up.T
    return LowRank.of(spec, up, down.T, "F32")


def _transposed(adapter: Adapter, module: str) -> bool:
    """Conv1D weights (fan_in_fan_out) and embeddings are stored as (in, out)."""
    return bool(adapter.config.get("fan_in_fan_out")) or adapter.is_embedding(module)


def _misfit(adapter: Adapter, module: str, spec: TensorSpec) -> str:
    up, down = adapter.factors(module)
    shape = (up.shape[0], down.shape[1])
    want = tuple(reversed(shape)) if _transposed(adapter, module) else shape
    if up.shape[1] != down.shape[0]:
        return f"{module}: B {list(up.shape)} and A {list(down.shape)} have different ranks"
    return (
        "" if want == spec.shape else f"{module}: the adapter's product is {list(want)}, the base's {list(spec.shape)}"
    )


def _saved(adapter: Adapter, base: TensorMap) -> Mapped:
    """The tensors saved whole, under the base's names. Anything else in the file is an error."""
    found, lost = {}, []
    for name in adapter.weights.specs:
        if _match(name):
            continue
        plain = _WRAPPERS.sub("", name.removeprefix("base_model.model."))
        if plain in base.specs and base.specs[plain].shape == adapter.weights.specs[name].shape:
            found[plain] = name
        else:
            lost.append(f"{name} {list(adapter.weights.specs[name].shape)}")
    if lost:
        raise MismatchError(
            f"{adapter.path}: tensors with no place in the base", remedy="name the adapter's true base", details=lost
        )
    specs = {n: base.specs[n] for n in sorted(found)}

    def pull(name: str, lo: int, hi: int) -> memoryview:
        raw = adapter.weights.buffer(found[name], lo, hi)
        return cast_bytes(raw, adapter.weights.specs[found[name]].dtype, specs[name].dtype)

    return Mapped(specs, pull)


def _match(name: str) -> re.Match[str] | None:
    return _PAIR.match(name) or _EMBEDDING.match(name)


def _pattern(patterns: Mapping[str, Any] | None, module: str, default: Any) -> Any:
    """A value by module: PEFT's keys are regular expressions that must match the end of the module's name."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default
