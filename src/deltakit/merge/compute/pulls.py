"""The pulls that a merge begins and ends with, each a named class: a fused kernel can tell what they compute.

A pull is called with (tensor name, first row, end) and gives float32 (rows, row_size). Pulls that are other callables
work as well; only no kernel takes their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deltakit.delta.expression import Delta
from deltakit.delta.terms.base import Float32, Term, base_floats
from deltakit.merge.compute.arithmetic import Arithmetic
from deltakit.sparsify.flow import Pull
from deltakit.tensors import TensorMap, TensorSpec, as_bytes, from_float32, to_float32

__all__ = ["BaseRows", "Difference", "ModelBits", "ModelRows", "Rounded", "TermRows"]


@dataclass(frozen=True)
class BaseRows:
    """The base's rows as they look in the dtypes of `specs`."""

    base: TensorMap
    specs: Mapping[str, TensorSpec]

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        return base_floats(self.base, name, lo, hi, self.specs[name].dtype)


@dataclass(frozen=True)
class ModelRows:
    """The rows of a model itself: its bits where they are known, else base + delta."""

    delta: Delta
    base: BaseRows

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        entry = self.delta.entries[name]
        if entry.bits is not None:
            return to_float32(entry.bits(lo, hi), entry.spec.dtype).reshape(hi - lo, entry.spec.row_size)
        rows = self.base(name, lo, hi)
        return rows + self.delta.rows(name, lo, hi) if entry.parts else rows


@dataclass(frozen=True)
class Rounded:
    """A pull whose values are rounded to the arithmetic's dtype."""

    pull: Pull
    arithmetic: Arithmetic

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        return self.arithmetic.round(self.pull(name, lo, hi))


@dataclass(frozen=True)
class Difference:
    """What a computed model adds to the base."""

    model: Pull
    base: BaseRows

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        return self.model(name, lo, hi) - self.base(name, lo, hi)


@dataclass(frozen=True)
class TermRows:
    """The rows of one term, whatever its dtype."""

    term: Term

    def __call__(self, name: str, lo: int, hi: int) -> Float32:
        return self.term.rows(lo, hi)


@dataclass(frozen=True)
class ModelBits:
    """The raw bytes of a computed model: its rows, rounded once to `spec`'s dtype."""

    pull: Pull
    spec: TensorSpec

    def __call__(self, name: str, lo: int, hi: int) -> memoryview:
        return as_bytes(from_float32(self.pull(name, lo, hi), self.spec.dtype))
