"""A primitive whose survivors are scaled so that each tensor keeps its L1 norm, as mergekit's `rescale` does."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from deltakit.delta.terms.base import Float32
from deltakit.sparsify.flow import Flow, Grain, Pull, Transform
from deltakit.tensors import TensorSpec, rounded, row_blocks

__all__ = ["MatchL1", "Matched"]


@dataclass(frozen=True)
class MatchL1:
    """`step`, then every tensor times (its L1 norm before / its L1 norm after).

    The norms, their quotient and the products are rounded to the tensor's dtype; a norm that the dtype cannot hold
    (a float16 tensor's is soon above 65504) stays as it is. A tensor of which nothing is left stays zero.
    """

    grain: ClassVar[Grain] = "tensor"
    step: Transform

    @property
    def idle(self) -> bool:
        """Where the step is."""
        return self.step.idle

    @property
    def unbiased(self) -> bool:
        """The factor depends on the mask."""
        return self.idle

    def on(self, flow: Flow) -> Flow:
        """The scaled flow; a tensor's norms are found when it is first asked for."""
        inner = self.step.on(flow)
        return replace(inner, pull=Matched(flow, inner))


@dataclass(frozen=True)
class Matched:
    """The pull behind MatchL1, by name, so that a fused kernel can tell what it computes."""

    before: Flow
    after: Flow
    found: dict[str, np.float32] = field(default_factory=dict)

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        product = self.after.pull(name, lo, hi) * self.factor(name)
        return _rounded(product, self.after.specs[name].dtype)

    def factor(self, name: str) -> np.float32:
        """What a tensor is multiplied with."""
        if name not in self.found:  # two threads at one tensor would find the same
            self.found[name] = self._find(name)
        return self.found[name]

    def _find(self, name: str) -> np.float32:
        spec = self.after.specs[name]
        before, after = (_norm(f.pull, name, spec) for f in (self.before, self.after))
        quotient = np.float32(before / after) if after > 0 else np.float32(1)
        return np.float32(_rounded(np.asarray(quotient), spec.dtype))


def _norm(pull: Pull, name: str, spec: TensorSpec) -> np.float32:
    """The L1 norm: summed in float64, rounded to the tensor's dtype if it fits."""
    total = sum(float(np.abs(pull(name, lo, hi)).sum(dtype=np.float64)) for lo, hi in row_blocks(spec))
    with np.errstate(over="ignore"):
        near = np.float32(_rounded(np.asarray(total, np.float32), spec.dtype))
    return near if np.isfinite(near) else np.float32(total)


def _rounded(values: Float32, dtype: str) -> Float32:
    if dtype not in ("BF16", "F16"):
        return values
    return rounded(values, dtype)
