"""Hessians of a layer's matrices, out of the moments that a walk took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from deltakit.compress.hessian import Hessian
from deltakit.tensors import TensorSpec

if TYPE_CHECKING:
    from deltakit.calibrate.moments import Moments

__all__ = ["LayerHessians"]


class LayerHessians(Mapping[str, Hessian]):
    """By tensor name; each is made in float64 when it is asked for, so that only those in work take memory.

    Packed experts (experts, out, in) are one tall matrix: the moments of their slices are added up. Left out are
    tensors that no input came to, and packed experts whose inputs run along the middle axis: their matrix view has no
    single axis of inputs.
    """

    def __init__(self, moments: Mapping[str, Moments], specs: Mapping[str, TensorSpec]) -> None:
        self._moments = {n: m for n, m in sorted(moments.items()) if _usable(m, specs[n])}
        self._last = {n: len(specs[n].shape) - 1 for n in self._moments}

    def __getitem__(self, name: str) -> Hessian:
        moments = self._moments[name]
        assert moments.gram is not None
        gram = moments.gram[0].double()
        for part in moments.gram[1:]:
            gram += part
        found = np.ascontiguousarray(gram.cpu().numpy())
        return Hessian(found, int(moments.axis == self._last[name]), sum(moments.rows))

    def __iter__(self) -> Iterator[str]:
        return iter(self._moments)

    def __len__(self) -> int:
        return len(self._moments)

    def leader(self, name: str) -> str:
        """The first of the tensors that share this one's moments."""
        mine = self._moments[name]
        return next(n for n, m in self._moments.items() if m is mine)


def _usable(moments: Moments, spec: TensorSpec) -> bool:
    if moments.gram is None or not sum(moments.rows) or len(spec.shape) not in (2, 3):
        return False
    return len(spec.shape) == 2 or moments.axis == 2
