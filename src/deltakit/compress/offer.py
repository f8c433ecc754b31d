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
    def spectrum(self) -> NDArray[np.float64]:
        """Squared singular values (of the whitened matrix where there is a Hessian), descending, in units of
        `energy`."""
        wide = self.rows.astype(np.float64)
        if self.hessian is not None:
            wide = wide if self.hessian.axis == 1 else wide.T
            gram = wide @ (self.hessian.gram / max(1, self.hessian.rows)) @ wide.T
        else:
            gram = wide @ wide.T if wide.shape[0] < wide.shape[1] else wide.T @ wide
        found: NDArray[np.float64] = np.maximum(np.linalg.eigvalsh(gram)[::-1], 0.0)
        return found

    def error(self, difference: Float32) -> float:
        """The error of a matrix that is off by `difference`."""
        if self.hessian is not None:
            return self.hessian.error(difference) / max(1, self.hessian.rows)
        return float((difference.astype(np.float64) ** 2).sum())


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
