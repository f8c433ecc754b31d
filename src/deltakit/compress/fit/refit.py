"""Factors of a delta in codes, each fitted to what the other factor has become.

With V coded, the best U is the least-squares fit U* = delta H V (VᵀHV)⁻¹ (the closed form of the corrected target of
arXiv 2506.11087), H the second moments of the inputs, or one where they are not known. Its columns are coded one by
one, each error carried to those behind by VᵀHV: GPTQ with the Hessian of U's own inputs. With U coded the best V is
deltaᵀ U (UᵀU)⁻¹, coded with errors carried over ranks and inputs alike (carry.py). And so on in turns; at the end
all singular values are fitted at once.

A coded factor is handled as its stored numbers (half-odd codes, or floats), whose columns have any length; their unit
columns are what the fits work with, and the scale of both sides goes into s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deltakit.compress.fit.carry import carried, unrolled
from deltakit.delta.coding.factor import Code
from deltakit.tensors import rounded

if TYPE_CHECKING:
    import torch

    from deltakit.compress.fit.whiten import Inputs

__all__ = ["Target", "View", "alternate", "coded", "unit"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
_ROWS = 256  # of a matrix in float64 at once
_DAMP = 1e-6  # of the diagonal: two columns may be copies of one another
_DEPENDENT = 0.03  # what a unit column has of its own, given those before it: below, float32 is too coarse


def unit(values: Float32, dtype: torch.dtype | None = None, device: str = "cpu") -> torch.Tensor:
    """The columns at length one (zero columns stay), float64 or as told, on `device`, in memory that torch owns:
    BLAS may look at alignment."""
    import torch

    wide = torch.from_numpy(values).to(device, dtype or torch.float64, copy=True)
    length = torch.linalg.vector_norm(wide, dim=0)
    return wide / torch.where(length > 0, length, 1.0)


def coded(seen: torch.Tensor, gram: torch.Tensor, codes: Sequence[Code], inputs: Inputs | None = None) -> Float32:
    """The coded factor (length, rank) that fits best: of `seen` @ gram⁻¹, errors carried by `gram` (rank, rank) and,
    along the length, by `inputs`. The last ranks, of the fewest bits, come first: the finest codes, at the end, make
    good what these got wrong. In float32 if `seen` is, unless columns of the other factor nearly depend on each
    other."""
    import torch

    length = _sizes(gram)
    even = gram / length / length[:, None]
    root = _cholesky((even + even.T) / 2)
    if seen.dtype == torch.float32 and float(torch.diagonal(root).min()) < _DEPENDENT:
        return coded(seen.double(), gram.double(), codes, inputs)
    target = torch.cholesky_solve((seen / length).T.contiguous(), root)
    weights = unrolled(root.flip(0, 1).contiguous())
    return carried(target.flip(0).numpy(force=True), weights, codes[::-1], inputs)[:, ::-1].copy()


def _cholesky(even: torch.Tensor) -> torch.Tensor:
    """The lower factor of a Gram matrix of unit columns, damped as little as it takes."""
    import torch

    one = torch.eye(len(even), dtype=even.dtype, device=even.device)
    root: torch.Tensor
    for damp in (_DAMP, 100 * _DAMP):
        root, failed = torch.linalg.cholesky_ex(even + damp * one)
        if not int(failed):
            return root
    root = torch.linalg.cholesky(even + 1e4 * _DAMP * one)
    return root


@dataclass(frozen=True, eq=False)
class View:
    """A delta seen through V: `seen` = delta H V (rows, rank) and `gram` = VᵀHV (rank, rank)."""

    seen: torch.Tensor
    gram: torch.Tensor


class Target:
    """A delta (rows, columns), its columns the inputs, seen through either factor. Everything is float64 where the
    inputs' moments are known (outliers among them), else float32. All products are made on `device`, where `inputs` are
    too; the loop over codes is the processor's. Use it within `one_thread`."""

    def __init__(self, delta: Float32, inputs: Inputs | None = None, device: str = "cpu") -> None:
        import torch

        self.inputs, self.device = inputs, device
        self.dtype = torch.float32 if inputs is None else torch.float64
        self.delta = torch.from_numpy(np.ascontiguousarray(delta)).to(device, copy=True)
        self.turned = self.delta.T.contiguous()
        self.weighed = self.delta if inputs is None else inputs.weigh(self.delta)
        self.energy = _inner(self.weighed, self.delta)

    def right(self, left: torch.Tensor, codes: Sequence[Code]) -> Float32:
        """V (columns, rank) for unit columns of U."""
        left = left.to(self.dtype)
        return coded(self.turned.to(self.dtype) @ left, left.T @ left, codes, self.inputs)

    def view(self, right: torch.Tensor) -> View:
        """What U has to fit, for unit columns of V."""
        right = right.to(self.dtype)
        return View(self.weighed @ right, right.T @ (right if self.inputs is None else self.inputs.gram @ right))

    def scales(self, u: Float32, v: Float32, view: View) -> tuple[Float32, float]:
        """The s that brings u diag(s) v.T nearest in the outputs' norm, rounded to bfloat16 as it is stored, and the
        squared error (damped as `inputs` are). `view` is that of v."""
        import torch

        left = unit(u, self.dtype, self.device)
        gram = ((left.T @ left) * view.gram).double()
        seen = (view.seen * left).sum(dim=0, dtype=torch.float64)
        size = _sizes(gram)
        even = gram / size / size[:, None] + _DAMP**2 * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
        s = (torch.linalg.solve(even, seen / size) / size).numpy(force=True)
        length = _lengths(u) * _lengths(v)
        stored = rounded(s / length, "BF16")
        real = torch.from_numpy(stored * length).to(gram.device)
        return stored, self.energy - 2 * float(seen @ real) + float(real @ gram @ real)


def _inner(first: torch.Tensor, second: torch.Tensor) -> float:
    """The sum of products in float64, in row ranges: three whole copies would be the peak of all coding."""
    ranges = [slice(lo, lo + _ROWS) for lo in range(0, len(first), _ROWS)]
    return sum(float((first[r].double() * second[r].double()).sum()) for r in ranges)


def alternate(
    target: Target, left: torch.Tensor, codes: Sequence[Code], rounds: int
) -> tuple[Float32, Float32, Float32]:
    """The best U, s, V of `rounds` rounds from the orthonormal `left` (rows, rank): V coded for it, then U for V, V for
    U, and so on."""
    found = []
    right = target.right(left, codes)
    for turn in range(rounds):
        view = target.view(unit(right, target.dtype, target.device))
        u = coded(view.seen, view.gram, codes)
        s, error = target.scales(u, right, view)
        found.append((error, u, s, right))
        if turn + 1 < rounds:
            right = target.right(unit(u, target.dtype, target.device), codes)
    _, u, s, right = min(found, key=lambda f: f[0])
    return u, s, right


def _sizes(gram: torch.Tensor) -> torch.Tensor:
    """Roots of the diagonal; one for zero columns."""
    import torch

    size = torch.diagonal(gram).clamp_min(0).sqrt()
    return torch.where(size > 0, size, 1.0)


def _lengths(values: Float32) -> Float64:
    found = np.sqrt((values.astype(np.float64) ** 2).sum(axis=0))
    return np.where(found > 0, found, 1.0)
