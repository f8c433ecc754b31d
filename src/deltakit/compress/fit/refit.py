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
from deltakit.compress.fit.feedback import alone, fed
from deltakit.delta.coding.factor import Code
from deltakit.delta.coding.trellis import TRELLIS
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
    BLAS may look at alignment. Ranks lie one behind the other."""
    import torch

    wide = torch.from_numpy(values).to(device, dtype or torch.float64).T.contiguous()
    return (wide / _even(torch.linalg.vector_norm(wide, dim=1))[:, None]).T


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
    if inputs is None and not any(code in TRELLIS for code in codes):
        return _columns(fed(seen.T, root * length[:, None], codes))
    target = torch.cholesky_solve((seen / length).T.contiguous(), root)
    weights = unrolled(root.flip(0, 1).contiguous())
    return carried(target.flip(0).numpy(force=True), weights, codes[::-1], inputs)[:, ::-1].copy()


def _columns(ranks: torch.Tensor) -> Float32:
    made: Float32 = ranks.float().numpy().T
    return made


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
        self.weighed = self.delta if inputs is None else inputs.weigh(self.delta)
        self.energy = _inner(self.weighed, self.delta)

    def first(self, free: torch.Tensor, codes: Sequence[Code]) -> Float32:
        """V (columns, rank) for orthonormal U: `free` (columns, rank) is deltaᵀ U, each column times anything. Without
        known inputs every column stands for itself."""
        import torch

        if self.inputs is None and not any(code in TRELLIS for code in codes):
            return _columns(alone(free.to(self.dtype).T, codes))
        one = torch.eye(free.shape[1], dtype=self.dtype, device=self.device)
        return coded(free.to(self.dtype), one, codes, self.inputs)

    def right(self, left: torch.Tensor, codes: Sequence[Code], gram: torch.Tensor | None = None) -> Float32:
        """V (columns, rank) for unit columns of U; `gram` is theirs."""
        left = left.to(self.dtype)
        return coded(
            (left.T @ self.delta.to(self.dtype)).T, left.T @ left if gram is None else gram, codes, self.inputs
        )

    def view(self, right: torch.Tensor) -> View:
        """What U has to fit, for unit columns of V."""
        right = right.to(self.dtype)
        seen = (right.T @ self.weighed.T).T
        return View(seen, right.T @ (right if self.inputs is None else self.inputs.gram @ right))

    def scales(self, u: Float32, v: Float32, view: View) -> tuple[Float32, float]:
        """The s that brings u diag(s) v.T nearest in the outputs' norm, rounded to bfloat16 as it is stored, and the
        squared error (damped as `inputs` are). `view` is that of v."""
        left = unit(u, self.dtype, self.device)
        return self.fitted(left, left.T @ left, _lengths(u) * _lengths(v), view)

    def fitted(self, left: torch.Tensor, gram: torch.Tensor, length: Float64, view: View) -> tuple[Float32, float]:
        """`scales` for unit columns of U, their Gram matrix, and the lengths of u's columns times those of v's."""
        import torch

        seen, gram = _along(view.seen.T, left.T), (gram * view.gram).double()
        size = _sizes(gram)
        even = gram / size / size[:, None] + _DAMP**2 * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
        s = (torch.linalg.solve(even, seen / size) / size).numpy(force=True)
        stored = rounded((s / length).astype(np.float32), "BF16")
        real = torch.from_numpy(stored * length).to(gram.device)
        return stored, self.energy - 2 * float(seen @ real) + float(real @ gram @ real)


def _along(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The sums of products of rows, float64, some rows at a time."""
    import torch

    parts = [slice(lo, lo + _ROWS) for lo in range(0, len(first), _ROWS)]
    return torch.cat([(first[r] * second[r]).sum(dim=1, dtype=torch.float64) for r in parts])


def _inner(first: torch.Tensor, second: torch.Tensor) -> float:
    """The sum of products in float64, in row ranges: three whole copies would be the peak of all coding."""
    ranges = [slice(lo, lo + _ROWS) for lo in range(0, len(first), _ROWS)]
    return sum(float((first[r].double() * second[r].double()).sum()) for r in ranges)


def alternate(target: Target, right: Float32, codes: Sequence[Code], rounds: int) -> tuple[Float32, Float32, Float32]:
    """The best U, s, V of `rounds` rounds from `right` (columns, rank), the V of `Target.first`: U coded for V, V for
    U, and so on."""
    best, least = None, np.inf
    for turn in range(rounds):
        view = target.view(unit(right, target.dtype, target.device))
        u = coded(view.seen, view.gram, codes)
        left = unit(u, target.dtype, target.device)
        gram = left.T @ left
        s, error = target.fitted(left, gram, _lengths(u) * _lengths(right), view)
        if best is None or error < least:
            best, least = (u, s, right), error
        if turn + 1 < rounds:
            right = target.right(left, codes, gram)
    assert best is not None
    return best


def _even(length: torch.Tensor) -> torch.Tensor:
    """Ones for zeros."""
    import torch

    return torch.where(length > 0, length, 1.0)


def _sizes(gram: torch.Tensor) -> torch.Tensor:
    """Roots of the diagonal; one for zero columns."""
    return _even(gram.diagonal().clamp_min(0).sqrt())


def _lengths(values: Float32) -> Float64:
    import torch

    ranks = torch.from_numpy(values.T)  # some at a time: norms in float64 take a float64 copy
    starts = range(0, max(1, len(ranks)), _ROWS)
    parts = [torch.linalg.vector_norm(ranks[lo : lo + _ROWS], dim=1, dtype=torch.float64) for lo in starts]
    made: Float64 = _even(torch.cat(parts)).numpy()
    return made
