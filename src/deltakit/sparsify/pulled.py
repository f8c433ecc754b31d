"""A term that is computed while it is read: what a primitive or a merge makes of other deltas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from deltakit.delta.terms.base import Float32, Term
from deltakit.errors import DeltakitError
from deltakit.sparsify.flow import Pull
from deltakit.tensors import TensorSpec

__all__ = ["Pulled"]


@dataclass(frozen=True)
class Pulled(Term):
    """The rows of one tensor of a flow. `store` makes the term that is written to files; nothing is kept in memory."""

    kind: ClassVar[str] = "pulled"
    spec: TensorSpec
    name: str
    pull: Pull
    store: Callable[[], Term]

    def rows(self, lo: int, hi: int) -> Float32:
        return self.pull(self.name, lo, hi)

    def solid(self) -> Term:
        """The term as it is stored."""
        return self.store()

    def save(self) -> tuple[dict[str, Any], bytes]:
        raise DeltakitError(f"tensor {self.name!r}: a computed term is stored as another", remedy="call solid() first")

    @classmethod
    def load(cls, fields: dict[str, Any], payload: memoryview, spec: TensorSpec) -> Term:
        raise DeltakitError("a computed term is never stored", remedy="report this file")
