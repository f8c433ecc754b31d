"""Embeddings and heads: rows that did not change cost nothing, those that did go through another codec."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from deltakit.compress.codec import CODECS, Codec, Context, parse_codec
from deltakit.compress.offer import Offer, Study, offers
from deltakit.delta.terms.base import Float32
from deltakit.delta.terms.matrix import matrix_shape
from deltakit.delta.terms.rows import Rows, bitmap_bytes
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec

__all__ = ["RowsCodec"]

_MOST = 0.9  # the share of changed rows above which the inner codec alone serves as well


@dataclass(frozen=True)
class RowsCodec:
    """A bitmap of the rows that changed, and these rows as a matrix of their own through `inner`. A budget is for the
    matrix as if all had changed: fewer rows take fewer bytes.

    Only tokens that the training saw move their embedding: of a large vocabulary often a small part. Rows that the base
    lacks are no matter of this codec: they are always exact.
    """

    name: ClassVar[str] = "rows"
    inner: str = "group_quant(bits=4)"

    def __post_init__(self) -> None:
        if self._codec.name == self.name:
            raise RecipeError("rows within rows", remedy="inner is another codec, such as group_quant(bits=4)")

    @property
    def fixed(self) -> bool:
        """As the inner codec is."""
        return self._codec.fixed

    def least(self, spec: TensorSpec) -> int:
        return bitmap_bytes(spec.rows) + self._codec.least(spec)

    def nbytes(self, spec: TensorSpec, budget: int | None) -> int:
        return bitmap_bytes(spec.rows) + self._codec.nbytes(spec, self._rest(spec, budget))

    def encode(self, rows: Float32, ctx: Context) -> tuple[Rows, ...]:
        spec, leading = ctx.spec, rows.reshape(ctx.spec.rows, ctx.spec.row_size)
        ids = np.flatnonzero(leading.any(axis=1))
        small = spec.with_rows(len(ids))
        budget = self._rest(spec, ctx.budget)
        if budget is not None:
            budget = max(self._codec.least(small), budget * len(ids) // max(1, spec.rows))
        facing = ctx.hessian if ctx.hessian is not None and ctx.hessian.axis == 1 else None  # others are over all rows
        inner = replace(ctx, spec=small, budget=budget, hessian=facing)
        changed = np.ascontiguousarray(leading[ids]).reshape(matrix_shape(small))
        parts = self._codec.encode(changed, inner) if len(ids) else ()
        return (Rows(spec, ids, tuple(parts)),)

    def offers(self, study: Study) -> Iterator[Offer]:
        """What group_quant offers for the changed rows, where enough did not change."""
        ids = np.flatnonzero(study.rows.any(axis=1))
        if not 0 < len(ids) < _MOST * len(study.rows) or len(study.spec.shape) != 2:
            return
        facing = study.hessian if study.hessian is not None and study.hessian.axis == 1 else None
        if facing is not study.hessian:
            return
        small = Study(study.spec.with_rows(len(ids)), np.ascontiguousarray(study.rows[ids]), facing)
        bitmap = Rows(study.spec, ids, ()).nbytes
        for offer in (o for bits in range(1, 9) for o in offers(CODECS.make("group_quant", bits=bits), small)):
            text = CODECS.spell(offer.codec, offer.codec.name)
            yield Offer(replace(self, inner=text), None, bitmap + offer.nbytes, offer.error)

    @property
    def _codec(self) -> Codec:
        return parse_codec(self.inner)

    def _rest(self, spec: TensorSpec, budget: int | None) -> int | None:
        return None if budget is None else max(0, budget - bitmap_bytes(spec.rows))
