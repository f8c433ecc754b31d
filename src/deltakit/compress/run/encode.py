"""One tensor through the codec of its row, as it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from deltakit.compress.codec import Context, parse_codec
from deltakit.compress.fit.recognise import recognised
from deltakit.compress.hessian import Hessian
from deltakit.compress.numbers import check_entry, loss, matrix_of, stored_bytes
from deltakit.compress.plan.plan import Plan, Row
from deltakit.compress.run.device import room_on
from deltakit.delta.expression import Delta, Entry, Lineage, Part
from deltakit.delta.site import Site

__all__ = ["Encoder", "encoded"]


@dataclass(frozen=True)
class Encoder:
    """Makes the entries of an archive: a bound delta, a row for each of its tensors, the device of linear algebra.
    As it goes, `losses` fills up: of every covered matrix, the squared error and the energy of its delta, in the
    weights; and `blind`: those that a codec coded without knowing their inputs."""

    delta: Delta
    rows: Mapping[str, Row]
    device: str = "cpu"
    losses: dict[str, tuple[float, float]] = field(default_factory=dict)
    blind: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, delta: Delta, plan: Plan, device: str = "cpu") -> Encoder:
        return cls(delta, {row.name: row for row in plan.rows}, device)

    def covers(self, name: str) -> bool:
        """Whether a codec codes this tensor."""
        return self.rows[name].action == "codec"

    def entry(self, name: str, hessian: Hessian | None = None) -> Entry:
        """One tensor as it is stored. ResourceError where the device is too small for it."""
        row, lineage = self.rows[name], self.delta.lineage
        with room_on(self.device, f"coding {name!r}"):
            made = encoded(row, self.delta.entries[name], lineage, hessian=hessian, device=self.device)
        if row.action in ("codec", "kept"):
            self.losses[name] = loss(self.delta.entries[name], made)
        if row.action == "codec" and hessian is None and made.parts:
            self.blind.add(name)
        return made

    def remark(self, name: str) -> dict[str, Any] | None:
        """What this run knows of a tensor that it made, JSON-able."""
        return {"loss": list(self.losses[name]), "blind": name in self.blind} if name in self.losses else None

    def recall(self, remarks: Mapping[str, Mapping[str, Any]]) -> None:
        """Take over what an earlier run, or another process, knew."""
        for name, said in remarks.items():
            self.losses[name] = (said["loss"][0], said["loss"][1])
        self.blind.update(name for name, said in remarks.items() if said["blind"])


def encoded(row: Row, entry: Entry, lineage: Lineage, *, hessian: Hessian | None = None, device: str = "cpu") -> Entry:
    """A tensor's entry as its row says: coded for the inputs whose Hessian is given (None: all count alike), or exact.
    InputError for numbers that are not finite."""
    if row.action != "codec":
        check_entry(row.name, entry)
        return entry
    codec = parse_codec(row.codec)
    limit, stored = codec.nbytes(row.spec, row.budget), stored_bytes(entry)
    if stored is not None and stored <= limit:  # a LoRA's factors: smaller, and nothing is lost
        check_entry(row.name, entry)
        return entry
    check_entry(row.name, replace(entry, parts=()))
    values = matrix_of(row.name, entry)
    if not values.any():
        return replace(entry, parts=())
    factors = recognised(entry, values, limit)
    if factors is not None:  # a merged LoRA: smaller, and nothing is lost but rounding
        return replace(entry, parts=(Part(1.0, factors),))
    terms = codec.encode(values, Context(Site(row.name, lineage.key), row.spec, row.budget, hessian, device))
    return replace(entry, parts=tuple(Part(1.0, term) for term in terms))
