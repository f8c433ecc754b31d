"""What reducers share that merge whole matrices one by one and average all other tensors."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from deltakit.checkpoint.pump import cores
from deltakit.delta.measure.threads import one_thread
from deltakit.delta.once import Whole
from deltakit.delta.terms.base import Float32
from deltakit.errors import NonFiniteError
from deltakit.merge.compute.whole import pull_whole
from deltakit.merge.method import Group, Needs
from deltakit.sparsify.flow import Flow
from deltakit.tensors import TensorSpec

if TYPE_CHECKING:
    import torch

__all__ = ["PerMatrix", "is_matrix"]

# Tables of vectors by token or position, and the head, which is one too: their rows are looked up, never multiplied.
_TABLES = re.compile(r"emb|(^|\.)(wte|wpe|lm_head|shared)(\.|$)|^output\.")
_PACKED = re.compile(r"expert")


def is_matrix(name: str, spec: TensorSpec, models: int, embeddings: bool = False) -> bool:
    """Whether a tensor is a linear map, or a stack of them: of two dimensions, or (experts, out, in) with a name that
    speaks of experts. Embeddings and heads count only with `embeddings`; the short side must have a direction for each
    model, and two at least."""
    if len(spec.shape) == 3:
        known = _PACKED.search(name) is not None
    else:
        known = len(spec.shape) == 2 and (embeddings or _TABLES.search(name) is None)
    return known and min(spec.shape[-2:]) >= max(2, models)


@dataclass(frozen=True)
class PerMatrix(ABC):
    """A reducer by matrices: `combine` makes one of the weighted deltas w_i * delta_i of a matrix (packed experts: of
    each expert), and all other tensors become sum of w_i * delta_i / N, as the authors of these methods have it.
    lambda multiplies both."""

    symmetric: ClassVar[bool] = True
    unbiased: ClassVar[bool] = False
    identity: ClassVar[bool] = False
    matrices: ClassVar[bool] = True
    needs: ClassVar[Needs] = "base"
    scaled: ClassVar[bool] = True
    embeddings: bool = False

    def check(self, weights: Sequence[float]) -> None:  # noqa: B027
        """Any finite weights will do."""

    def coefficients(self, weights: Sequence[float]) -> tuple[float, ...] | None:
        """Never a mere sum, unless a subclass knows better."""
        return None

    def shares(self, weights: Sequence[float], scale: float) -> list[float]:
        """What the deltas of a tensor that is no matrix are multiplied by, to be summed."""
        return [scale * w / len(weights) for w in weights]

    def merge(self, deltas: Sequence[torch.Tensor], weights: Sequence[float], scale: float) -> torch.Tensor:
        """The merged delta of a matrix from those of all models, float64, one BLAS thread set."""
        return scale * self.combine([w * d for w, d in zip(weights, deltas, strict=True)])

    @abstractmethod
    def combine(self, deltas: Sequence[torch.Tensor]) -> torch.Tensor:
        """One float64 matrix of those of all models, each (rows, columns), one BLAS thread set."""

    def over(self, group: Group) -> Flow:
        """The merged delta; a matrix is computed when it is first asked for."""
        made = Whole(partial(_whole, self, group), kept=cores() + 1)
        pull = Combined(self, group, made)
        return Flow(group.flows[0].specs, pull, "", 0, tuple(m for f in group.flows for m in f.measures))


@dataclass(frozen=True)
class Combined:
    """The pull of a merge by matrices."""

    reducer: PerMatrix
    group: Group
    made: Whole

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        spec = self.group.flows[0].specs[name]
        if not is_matrix(name, spec, len(self.group.flows), self.reducer.embeddings):
            return _mean(self.reducer, self.group, name, lo, hi)
        if len(spec.shape) == 2:
            return self.made.pull(name, lo, hi)
        made = np.empty((hi - lo, spec.row_size), np.float32)
        for i in range(lo, hi):
            pulled = [f.pull(name, i, i + 1).reshape(spec.shape[1:]) for f in self.group.flows]
            made[i - lo] = _merge(self.reducer, self.group, pulled, f"{name!r}, expert {i}").ravel()
        return made


def _whole(reducer: PerMatrix, group: Group, name: str) -> Float32:
    return _merge(reducer, group, [pull_whole(f.pull, f.specs, name) for f in group.flows], repr(name))


def _merge(reducer: PerMatrix, group: Group, deltas: Sequence[Float32], where: str) -> Float32:
    """The merged matrix, float32; InputError where a delta is not finite."""
    if not all(np.isfinite(d).all() for d in deltas):
        raise NonFiniteError(f"tensor {where}: the deltas hold values that are not finite", remedy="check the models")
    import torch

    with one_thread():
        found = [torch.from_numpy(d).double() for d in deltas]
        made: Float32 = reducer.merge(found, group.weights, group.scale).float().numpy()
        return made


def _mean(reducer: PerMatrix, group: Group, name: str, lo: int, hi: int) -> Float32:
    """The sum of shares."""
    shares = [np.float32(share) for share in reducer.shares(group.weights, group.scale)]
    total = group.flows[0].pull(name, lo, hi) * shares[0]
    for flow, share in zip(group.flows[1:], shares[1:], strict=True):
        total += flow.pull(name, lo, hi) * share
    return total
