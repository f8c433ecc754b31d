"""What a method needs and costs: its traits in words, and reads counted on a small family in memory."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deltakit.checkpoint.pump import silent
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.merge import DIALECTS
from deltakit.merge.method import Method
from deltakit.merge.plan.assemble import Assembly, assemble
from deltakit.merge.plan.blueprint import Blueprint, Piece, Read, Use
from deltakit.merge.sources.allowances import Allowances
from deltakit.merge.sources.source import Source
from deltakit.merge.tokens.aligned import Aligned
from deltakit.registry import Registry
from deltakit.tensors import TensorSpec, as_bytes

__all__ = ["cost_of", "traits_of"]

_NEEDS = {
    "base": "a base, and models tuned from it",
    "models": "two or more models; a base may be left out",
    "pair": "two models, or a base and one model",
    "one": "one model",
}
_RANGES = "ranges of some MB of each model, whatever their size"
_MATRICES = "one whole matrix of each model at a time"
_SHAPES = {"model.layers.0.mlp.up_proj.weight": (48, 24), "model.norm.weight": (24,)}
_STEP = 8  # rows that are asked for at a time


def traits_of(method: Method) -> dict[str, str]:
    """What a method takes and gives, in words."""
    reduce = method.reduce
    calibrated, drawn = method.calibrated, any(_random(s) for s in method.each)
    return {
        "needs": _NEEDS[reduce.needs] + (", and a little text" if calibrated else ""),
        "memory": _MATRICES if method.matrices else _RANGES,
        "lambda": "scales the merged delta" if reduce.scaled else "has no meaning",
        "order": "of the models does not matter" if reduce.symmetric else "of the models matters",
        "chance": _chance(method) if drawn else "none",
    }


def _chance(method: Method) -> str:
    return "seeded masks" + ("; the mean over seeds is the method without them" if method.unbiased else "")


def _random(step: Any) -> bool:
    return type(step).__name__.lower() in ("drop", "dropsearched", "magprune")


def sample(registry: Registry, name: str) -> dict[str, Any]:
    """A value for every parameter without which a method has nothing to do."""
    parameters = inspect.signature(registry.factory(name)).parameters.values()
    return {p.name: 0.5 for p in parameters if p.default is p.empty or p.name == "density"}


def cost_of(name: str, dialect: str = "paper") -> float | None:
    """How often every byte of a model is read for a merge, the passes for thresholds and inner products included:
    counted on two models (or as many as the method takes) that lie in memory. None where a method looks at text, for
    which it runs a model."""
    registry = DIALECTS[dialect]
    method: Method = registry.make(name, **sample(registry, name))
    if method.calibrated:
        return None
    counted = {label: _Counted(label, seed) for seed, label in enumerate(("base", "a", "b"))}
    plan = _plan(name, dialect, method, counted)
    plan.measure(silent)
    for tensor, spec in plan.tensors.specs.items():
        for lo in range(0, spec.rows, _STEP):
            plan.tensors.buffer(tensor, lo, min(lo + _STEP, spec.rows))
    return counted["a"].bytes / sum(s.nbytes for s in counted["a"].specs.values())


def _plan(name: str, dialect: str, method: Method, counted: Mapping[str, _Counted]) -> Assembly:
    labels = {"pair": ("a",), "one": ("a",)}.get(method.reduce.needs, ("a", "b"))
    base = None if method.reduce.needs == "one" else "base"
    sources = {
        label: Source(label, label, counted[label], Sidecar(), f"sha256:{label}")
        for label in (*([base] if base else []), *labels)
    }
    parameters = sample(DIALECTS[dialect], name)

    def piece(tensor: str) -> Piece:
        uses = tuple(Use(Read(label, tensor)) for label in labels)
        return Piece(name, uses, None if base is None else Read(base, tensor), parameters)

    pieces = {tensor: piece(tensor) for tensor in counted["a"].specs}
    blueprint = Blueprint({la: la for la in sources}, pieces, next(iter(sources)), base, dialect)
    # The look for NaN takes rows that are at hand then; it is no pass of its own.
    plan = assemble(blueprint, Aligned(sources, 0), {}, Allowances(nonfinite=True))
    for one in counted.values():
        one.forget()  # what planning sampled is no part of the merge
    return plan


@dataclass
class _Counted:
    """A model in memory that counts what is read of it."""

    label: str
    seed: int
    bytes: int = 0
    data: dict[str, np.ndarray[Any, np.dtype[np.float32]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        base, own = np.random.default_rng(0), np.random.default_rng(self.seed)
        for name, shape in _SHAPES.items():
            start = base.standard_normal(shape).astype(np.float32)
            moved = own.standard_normal(shape).astype(np.float32) * np.float32(0.01)
            self.data[name] = start + moved if self.seed else start

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        return {n: TensorSpec(a.shape, "F32") for n, a in sorted(self.data.items())}

    def buffer(self, name: str, lo: int = 0, hi: int | None = None) -> memoryview:
        rows = self.data[name][lo:hi]
        self.bytes += rows.nbytes
        return as_bytes(rows)

    def forget(self) -> None:
        """Count from here."""
        self.bytes = 0
