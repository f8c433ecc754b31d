"""What a codec offers for one tensor: so many bytes for so much error. `auto` chooses among all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deltakit.compress.hessian import Hessian
from deltakit.delta.terms.base import Float32
from deltakit.tensors import TensorSpec

if TYPE_CHECKING:
    from deltakit.compress.codec import Codec

__all__ = ["Offer", "Study", "offers"]


_WIDE = 256  # columns of a Gram matrix whose eigenvalues cost nothing in float64
_JITTER = 1e-9  # of the mean moment: fewer inputs than columns leave directions without any
_BLOCK = 1 << 20  # elements that are float64 at a time


@dataclass(frozen=True, eq=False)
class Study:
    """One matrix under measurement: its spec, its numbers (rows, columns), the inputs' moments where they are known.
    Errors are squared and summed: tr(E H Eᵀ) over the number of inputs with a Hessian, else the squared norm of E."""

    spec: TensorSpec
    rows: Float32
    hessian: Hessian | None = None

    @cached_property
    def energy(self) -> float:
        """The error of leaving the delta out."""
        return self.error(self.rows)

    @cached_property
    def spread(self) -> float:
        """`energy` as it would be if the inputs did not depend on each other: by the diagonal of the moments alone.
        Errors that do not depend on each other, whose squares are a share of those of the matrix, count that share of
        it."""
        if self.hessian is None:
            return self.energy
        weights = np.diagonal(self.hessian.gram) / max(1, self.hessian.rows)
        facing = self.rows if self.hessian.axis == 1 else self.rows.T
        return sum(float((np.square(block, dtype=np.float64) @ weights).sum()) for block in _blocks(facing))

    @cached_property
    def spectrum(self) -> NDArray[np.float64]:
        """Squared singular values (of the whitened matrix where there is a Hessian), descending, in units of
        `energy`. For sizes, not for numbers: above 256 columns good to 1e-6 of the largest."""
        import torch

        rows = torch.from_numpy(np.ascontiguousarray(self.rows))
        wide = torch.float64 if min(rows.shape) <= _WIDE else torch.float32
        if self.hessian is None:
            facing = (rows if rows.shape[0] < rows.shape[1] else rows.T).to(wide)
            gram = facing @ facing.T
        else:
            facing = (rows if self.hessian.axis == 1 else rows.T).to(wide)
            inputs = torch.from_numpy(self.hessian.gram / max(1, self.hessian.rows))
            if facing.shape[0] <= facing.shape[1]:
                gram = facing @ inputs.to(wide) @ facing.T
            else:
                inputs.diagonal().add_(_JITTER * float(inputs.diagonal().mean()))
                root = facing @ torch.linalg.cholesky(inputs).to(wide)
                gram = root.T @ root
        found: NDArray[np.float64] = torch.linalg.eigvalsh(gram).flip(0).clamp_min(0.0).double().numpy()
        return found

    def error(self, difference: Float32) -> float:
        """The error of a matrix that is off by `difference`."""
        if self.hessian is not None:
            return self.hessian.error(difference) / max(1, self.hessian.rows)
        return sum(float(np.square(block, dtype=np.float64).sum()) for block in _blocks(difference))


@dataclass(frozen=True)
class Offer:
    """`codec`, with all its parameters, given `budget` payload bytes, takes `nbytes` and leaves `error` (estimated)."""

    codec: Codec
    budget: int | None
    nbytes: int
    error: float


def offers(codec: Codec, study: Study) -> Iterator[Offer]:
    """What a codec class offers: its own `offers(study)` where it has one, nothing else."""
    own = getattr(codec, "offers", None)
    yield from own(study) if own is not None else ()


def _blocks(values: Float32) -> Iterator[Float32]:
    step = max(1, _BLOCK // max(1, values.shape[1]))
    yield from (values[lo : lo + step] for lo in range(0, len(values), step))
