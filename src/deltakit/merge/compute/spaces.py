"""Bases that the deltas of a matrix share, and coordinates in them: where elementwise methods find adapters aligned.

Both spaces lose nothing: a sum of coordinates is the coordinates of the sum. With factors at hand (LoRA) they are found
from those alone, by QR and the SVD of a small matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from deltakit.delta.measure.decompose import product, triplets
from deltakit.delta.terms.base import Float32
from deltakit.sparsify.flow import Factors

if TYPE_CHECKING:
    import torch

__all__ = ["Coordinates", "CoreSpace", "Knots", "Space"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Coordinates:
    """The deltas (rows, columns) of one matrix are left @ part @ rightᵀ; `right` None stands for the identity."""

    parts: tuple[Float32, ...]
    left: Float32
    right: Float32 | None

    def lift(self, part: Float32) -> Float32:
        """The matrix of coordinates, float32 (rows, columns). Call it within `one_thread`."""
        import torch

        made = torch.from_numpy(self.left).double() @ torch.from_numpy(np.ascontiguousarray(part)).double()
        if self.right is not None:
            made = made @ torch.from_numpy(self.right).double().T
        found: Float32 = made.float().numpy()
        return found


class Space(Protocol):
    """A way to find a basis; frozen and without state."""

    def shape(self, matrix: Shape, models: int, rank: int | None) -> tuple[int, int]:
        """Of the coordinates: known from the matrix's shape, the count of models and the sum of the ranks of their
        factors, where they have them."""
        ...

    def of_factors(self, deltas: Sequence[Factors], size: tuple[int, int]) -> Coordinates:
        """From the factors (rows, r) and (columns, r) of every delta. Call it within `one_thread`."""
        ...

    def of_matrices(self, deltas: Sequence[Float32], size: tuple[int, int]) -> Coordinates:
        """From the deltas themselves. Call it within `one_thread`."""
        ...


@dataclass(frozen=True)
class Knots:
    """KnOTS (Stoica et al., 2024, arXiv 2410.19735): the SVD of all deltas beside each other along their input
    dimension, [delta_1 ... delta_N] = U S [V_1ᵀ ... V_Nᵀ]; the coordinates of delta_i are S V_iᵀ, in the basis U.
    Matrices count as (out, in)."""

    name: ClassVar[str] = "knots"

    def shape(self, matrix: Shape, models: int, rank: int | None) -> tuple[int, int]:
        rows, columns = matrix
        return min(rows, models * columns if rank is None else rank), columns

    def of_factors(self, deltas: Sequence[Factors], size: tuple[int, int]) -> Coordinates:
        import torch

        left = torch.cat([torch.from_numpy(u) for u, _ in deltas], dim=1)
        right = torch.block_diag(*(torch.from_numpy(v) for _, v in deltas))  # type: ignore[no-untyped-call]
        return _blocks(product(left, right, size[0]), size)

    def of_matrices(self, deltas: Sequence[Float32], size: tuple[int, int]) -> Coordinates:
        import torch

        return _blocks(triplets(torch.cat([torch.from_numpy(d) for d in deltas], dim=1), size[0]), size)


@dataclass(frozen=True)
class CoreSpace:
    """Core Space (Panariello et al., 2025, arXiv 2509.17786): with delta_i = B_i A_i, the left singular vectors U of
    [B_1 ... B_N] and the right ones V of the A_i on top of each other; the coordinates of delta_i are Uᵀ B_i A_i V.
    A delta without factors stands for both of its factors."""

    name: ClassVar[str] = "core"

    def shape(self, matrix: Shape, models: int, rank: int | None) -> tuple[int, int]:
        rows, columns = matrix
        most = (models * columns, models * rows) if rank is None else (rank, rank)
        return min(rows, most[0]), min(columns, most[1])

    def of_factors(self, deltas: Sequence[Factors], size: tuple[int, int]) -> Coordinates:
        import torch

        lefts, rights = ([torch.from_numpy(d[side]) for d in deltas] for side in (0, 1))
        left, right = _basis(lefts, size[0]), _basis(rights, size[1])
        parts = [(left.T @ u.double()) @ (v.double().T @ right) for u, v in zip(lefts, rights, strict=True)]
        return Coordinates(tuple(_float(p) for p in parts), _float(left), _float(right))

    def of_matrices(self, deltas: Sequence[Float32], size: tuple[int, int]) -> Coordinates:
        import torch

        found = [torch.from_numpy(d) for d in deltas]
        left, right = _basis(found, size[0]), _basis([d.T for d in found], size[1])
        return Coordinates(tuple(_float(left.T @ d.double() @ right) for d in found), _float(left), _float(right))


def _basis(matrices: Sequence[torch.Tensor], size: int) -> torch.Tensor:
    """The left singular vectors of matrices side by side, (rows, size): zeros where their rank is less."""
    import torch

    left, _, _ = triplets(torch.cat(list(matrices), dim=1), size)
    return torch.nn.functional.pad(left, (0, size - left.shape[1]))


def _blocks(found: tuple[torch.Tensor, torch.Tensor, torch.Tensor], size: tuple[int, int]) -> Coordinates:
    """U, and S V_iᵀ of each model; zeros where the rank is less than its size."""
    import torch

    left, values, right = found
    less = size[0] - len(values)
    rows = torch.nn.functional.pad((right * values).T, (0, 0, 0, less))
    return Coordinates(
        tuple(_float(p) for p in torch.split(rows, size[1], dim=1)),
        _float(torch.nn.functional.pad(left, (0, less))),
        None,
    )


def _float(values: torch.Tensor) -> Float32:
    found: Float32 = values.float().contiguous().numpy()
    return found
