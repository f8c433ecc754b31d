"""Rows that come from another tensor of the base, as they are there or with a lossless difference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from deltakit.delta.terms.base import Float32
from deltakit.delta.terms.changes import Changes
from deltakit.delta.terms.exact import Exact
from deltakit.delta.terms.ranged import Ranged
from deltakit.delta.terms.tied import Tied
from deltakit.errors import CheckpointError, MismatchError
from deltakit.tensors import Mapped, TensorMap, TensorSpec, to_float32

__all__ = ["Copy", "shifted"]

_INNER: dict[str, type[Tied]] = {t.kind: t for t in (Changes, Exact, Ranged)}


@dataclass(frozen=True)
class Copy(Tied):
    """The rows `start` .. of the base's tensor `source`, and a difference from them of the kind `form`; "": none.

    Among the parts of a tensor (bound to its name) `rows` gives the difference from the base's tensor of that name; as
    added rows (bound to no name) it gives the values.
    """

    kind: ClassVar[str] = "copy"
    source: str = ""
    start: int = 0
    form: str = ""

    @classmethod
    def of(cls, source: str, start: int, inner: Tied) -> Copy:
        """`inner` is a lossless term over `shifted(base, source, start, ...)`."""
        equal = isinstance(inner, Exact) and inner.is_zero
        payload = memoryview(b"") if equal else inner.payload
        return cls(inner.spec, payload, source=source, start=start, form="" if equal else inner.kind)

    def bits(self, lo: int, hi: int) -> memoryview:
        under = shifted(self.bound, self.source, self.start, self.spec)
        if not self.form:
            return under.buffer(self.source, lo, hi)
        return _INNER[self.form](self.spec, self.payload, under, self.source).bits(lo, hi)

    def rows(self, lo: int, hi: int) -> Float32:
        if self.name:
            return super().rows(lo, hi)
        return to_float32(self.bits(lo, hi), self.spec.dtype).reshape(hi - lo, self.spec.row_size)

    @property
    def step(self) -> int:
        return _INNER[self.form](self.spec, self.payload).step if self.form else 1

    def bind(self, base: TensorMap, name: str) -> Copy:
        shifted(base, self.source, self.start, self.spec)
        return replace(self, base=base, name=name)

    def save(self) -> tuple[dict[str, Any], bytes]:
        fields: dict[str, Any] = {"n": self.source}
        fields |= {"r": self.start} if self.start else {}
        fields |= {"k": self.form} if self.form else {}
        return fields, bytes(self.payload)

    @classmethod
    def load(cls, fields: dict[str, Any], payload: memoryview, spec: TensorSpec) -> Copy:
        inner, start = fields.get("k", ""), fields.get("r", 0)
        if inner not in ("", *_INNER) or type(start) is not int or start < 0 or not isinstance(fields["n"], str):
            raise CheckpointError(f"a copy is malformed: {fields}", remedy="fetch the file again")
        if inner:
            _INNER[inner].load({}, payload, spec)  # sizes are checked before anything is asked for
        elif len(payload):
            raise CheckpointError("a copy without a difference has a payload", remedy="fetch the file again")
        return cls(spec, payload, source=fields["n"], start=start, form=inner)


def shifted(base: TensorMap, source: str, start: int, spec: TensorSpec) -> Mapped:
    """A map of one tensor: the rows `start` .. of the base's `source` that a term of `spec` is made of."""
    have = base.specs.get(source)
    if have is None or have.shape[1:] != spec.shape[1:] or have.rows < start + spec.rows or have.dtype != spec.dtype:
        raise MismatchError(
            f"the delta does not fit this base: it copies rows {start}..{start + spec.rows} of {source!r}, "
            + ("which it has not" if have is None else f"which is {list(have.shape)} {have.dtype}"),
            remedy="name the base it was made against",
        )
    return Mapped({source: spec}, lambda _, lo, hi: base.buffer(source, start + lo, start + hi))
