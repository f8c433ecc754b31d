"""The bank: every term of every tenant, held once however many expressions name it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from deltakit.errors import InputError, RecipeError
from deltakit.tenants.terms import Differences, Held, resident

if TYPE_CHECKING:
    import torch

    from deltakit.delta.terms.base import Float32, Term

__all__ = ["HOLDS", "Bank"]

HOLDS = ("fast", "factors", "packed")


class Bank:
    """Terms by tensor and content: equal bytes are held once, whichever files and expressions they come from.

    `hold`: "fast" (low rank as float factors where those are smaller than the matrix; signs packed, where they are
    looked up; all else element by element in the model's dtype), "packed" (as in the file: least memory, unpacked for
    every product), or "factors" (low rank as factors whatever their size, all else packed: every scale stays one, for
    training).
    """

    def __init__(self, hold: str, dtype: torch.dtype, device: str) -> None:
        if hold not in HOLDS:
            raise RecipeError(f"terms cannot be held as {hold!r}", remedy=f"use one of {', '.join(HOLDS)}")
        self.hold, self._dtype, self._device = hold, dtype, device
        self._held: dict[Hashable, Held] = {}
        self._known: dict[tuple[str, int], tuple[Term, Held | None]] = {}  # by the object, which it keeps alive

    def take(self, term: Term, name: str) -> Held | None:
        """A term of the tensor `name` in memory; None where it changes nothing. InputError where its numbers are not
        finite. A term that was taken before is not read again."""
        known = self._known.get((name, id(term)))
        if known is None:
            known = self._known[name, id(term)] = (term, self._read(term, name))
        return known[1]

    def _read(self, term: Term, name: str) -> Held | None:
        bits = getattr(term, "bits", None)
        if bits is not None:
            exact = (name, term.spec, _digest(bits(0, term.spec.rows)))
            return self._held.get(exact) or self.put(exact, term.rows(0, term.spec.rows), term.spec.shape, name)
        fields, payload = term.save()
        key = (name, term.kind, term.spec, json.dumps(fields, sort_keys=True), _digest(payload))
        if key not in self._held:
            own = type(term).load(fields, memoryview(payload), term.spec)
            self._held[key] = resident(own, self.hold, self._dtype, self._device)
        return self._held[key]

    def put(self, key: Hashable, values: Float32, shape: tuple[int, ...], name: str) -> Held | None:
        """Hold differences (rows, row_size) as they are; None if all are zero."""
        if not np.isfinite(values).all():
            raise InputError(f"tensor {name!r}: its differences are not finite", remedy="repair the fine-tune")
        if not values.any():
            return None
        self._held[key] = Differences(values, shape, self._dtype, self._device)
        return self._held[key]

    def keep(self, used: Iterable[Held]) -> None:
        """Let go of all terms but these."""
        wanted = {id(held) for held in used}
        self._held = {key: held for key, held in self._held.items() if id(held) in wanted}
        self._known = {key: pair for key, pair in self._known.items() if pair[1] is None or id(pair[1]) in wanted}

    @property
    def nbytes(self) -> int:
        """Bytes of all that is held."""
        return sum(held.nbytes for held in self._held.values())

    def __len__(self) -> int:
        return len(self._held)


def _digest(content: bytes | memoryview) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()
