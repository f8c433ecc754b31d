"""What terms have in common whose numbers lie in byte planes: rows as they are, dense values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from deltakit.delta.coding.planes import Planes
from deltakit.delta.terms.base import Term
from deltakit.tensors import TensorSpec

__all__ = ["Packed"]


@dataclass(frozen=True)
class Packed(Term):
    """One element of the payload for each of the term; `itemsize` bytes wide."""

    spec: TensorSpec
    payload: memoryview

    @property
    def itemsize(self) -> int:
        """Bytes of one stored element."""
        return self.spec.itemsize

    @property
    def planes(self) -> Planes:
        """The payload, opened; CheckpointError where its sizes do not fit the spec."""
        return Planes.open(self.payload, self.spec.rows, self.spec.row_size, self.itemsize)

    @property
    def nbytes(self) -> int:
        return len(self.payload)

    def save(self) -> tuple[dict[str, Any], bytes]:
        return {}, bytes(self.payload)

    @classmethod
    def load(cls, fields: dict[str, Any], payload: memoryview, spec: TensorSpec) -> Self:
        made = cls(spec, payload)
        made.planes  # noqa: B018  # sizes are checked before anything is asked for
        return made
