"""A difference in some rows alone, as most embeddings have it: which rows, and terms over the matrix of these rows.

Payload: a bitmap of the rows (bit i for row i, first row in the lowest bit), stored as a plane is (planes.py), then the
payloads of the inner terms. Fields: "b" bytes of the bitmap, "p" the inner terms as [kind, fields, bytes].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from deltakit.delta.coding.planes import deflate, inflate
from deltakit.delta.terms.base import Float32, Term
from deltakit.errors import CheckpointError, MismatchError
from deltakit.tensors import TensorSpec

__all__ = ["Rows", "bitmap_bytes"]

_INNER = ("dense", "grouped", "lowrank", "lowrank_minmax", "seeded", "sign", "sparse")
_AGAIN = "fetch the file again"
_PACKED = 1 << 15  # zstd makes at most so many bytes of one


def bitmap_bytes(rows: int) -> int:
    """The most that the bitmap takes."""
    return math.ceil(rows / 8)


@dataclass(frozen=True, eq=False)
class Rows(Term):
    """`ids` (k,) ascending: the rows that differ; `parts`: terms of shape (k, ...) whose sum is their difference."""

    kind: ClassVar[str] = "rows"
    spec: TensorSpec
    ids: NDArray[np.int64]
    parts: tuple[Term, ...]

    def rows(self, lo: int, hi: int) -> Float32:
        out = np.zeros((hi - lo, self.spec.row_size), np.float32)
        a, b = (int(n) for n in np.searchsorted(self.ids, [lo, hi]))
        if b > a:
            for term in self.parts:
                out[self.ids[a:b] - lo] += term.rows(a, b)
        return out

    def gather(self, ids: Sequence[int] | NDArray[np.int64]) -> Float32:
        wanted = np.asarray(ids, np.int64)
        out = np.zeros((len(wanted), self.spec.row_size), np.float32)
        places = np.searchsorted(self.ids, wanted)
        hit = np.flatnonzero(np.isin(wanted, self.ids))
        if len(hit):
            for term in self.parts:
                out[hit] += term.gather(places[hit])
        return out

    def matmul(self, x: Float32) -> Float32:
        if x.ndim != 2 or x.shape[1] != self.spec.row_size:
            raise MismatchError(f"activations {x.shape} do not fit a delta with rows of {self.spec.row_size}")
        out = np.zeros((x.shape[0], self.spec.rows), np.float32)
        for term in self.parts if len(self.ids) else ():
            out[:, self.ids] += term.matmul(x)
        return out

    @property
    def nbytes(self) -> int:
        return len(self._bitmap) + sum(term.nbytes for term in self.parts)

    @property
    def _bitmap(self) -> bytes:
        mask = np.zeros(self.spec.rows, np.uint8)
        mask[self.ids] = 1
        return deflate(np.packbits(mask, bitorder="little").tobytes())

    def save(self) -> tuple[dict[str, Any], bytes]:
        saved = [(term.kind, *term.save()) for term in self.parts]
        bitmap = self._bitmap
        fields = {"b": len(bitmap), "p": [[kind, inner, len(raw)] for kind, inner, raw in saved]}
        return fields, b"".join([bitmap, *(raw for _, _, raw in saved)])

    @classmethod
    def load(cls, fields: dict[str, Any], payload: memoryview, spec: TensorSpec) -> Rows:
        from deltakit.delta.terms import TERMS

        sizes = [fields["b"], *(size for _, _, size in fields["p"])]
        if not all(type(n) is int and n >= 0 for n in sizes) or sum(sizes) != len(payload):
            raise CheckpointError("the sizes within a rows term do not add up", remedy=_AGAIN)
        if spec.rows > 8 * _PACKED * max(1, fields["b"]):  # no bitmap packs so well: the shape lies
            raise CheckpointError(f"{fields['b']} bytes are no bitmap of {spec.rows} rows", remedy=_AGAIN)
        raw = np.frombuffer(inflate(payload[: fields["b"]], bitmap_bytes(spec.rows)), np.uint8)
        bits = np.unpackbits(raw, bitorder="little")
        if bits[spec.rows :].any():
            raise CheckpointError("a bitmap names rows that are not there", remedy=_AGAIN)
        ids = np.flatnonzero(bits[: spec.rows])
        parts, at = [], fields["b"]
        for kind, inner, size in fields["p"]:
            if kind not in _INNER:
                raise CheckpointError(f"a rows term holds a term of kind {kind!r}", remedy=_AGAIN)
            made: Any = TERMS.factory(kind)
            parts.append(made.load(inner, payload[at : at + size], spec.with_rows(len(ids))))
            at += size
        return cls(spec, ids, tuple(parts))
