"""What happens to every tensor of a delta, and in how many bytes; decided before anything is encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from deltakit.compress.codec import parse_codec
from deltakit.compress.plan.choice import Choice, check_patterns, spell
from deltakit.compress.plan.exactly import Exactly
from deltakit.compress.plan.forecast import Forecast
from deltakit.delta.expression import Delta, Entry
from deltakit.delta.terms.matrix import matrix_shape
from deltakit.errors import NoEffectError
from deltakit.tensors import TensorSpec

__all__ = ["Plan", "Row", "covers", "plan_rows"]

_EXPERT = 16  # the smallest side of a tensor of three and more dimensions that is coded
_COVERED = ("codec", "kept")


@dataclass(frozen=True)
class Row:
    """One tensor: "codec" (coded by `codec`, spelled, in at most `budget` payload bytes, None: as the codec says),
    "kept" (stored as it came, in few enough bytes), "exact" (kept bit for bit) or "unchanged" (equal to the base's,
    free)."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    action: str
    budget: int | None = None
    codec: str = ""

    @property
    def spec(self) -> TensorSpec:
        return TensorSpec(self.shape, self.dtype)


@dataclass(frozen=True)
class Plan:
    """What codes (spelled), what was asked for, a row per tensor, sorted by name, and what to expect of the rows that
    were looked at."""

    codec: str
    ratio: float | None
    nbytes: int | None
    rows: tuple[Row, ...]
    forecasts: Mapping[str, Forecast] = field(default_factory=dict, compare=False)

    @property
    def covered(self) -> tuple[Row, ...]:
        """The rows that are coded, or kept in the place of that."""
        return tuple(row for row in self.rows if row.action in _COVERED)

    @property
    def payload(self) -> int:
        """Bytes that the covered rows are expected to take."""
        return sum(self._expected(row) for row in self.covered)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, and all that decides the bytes: it names the staging folder."""
        return asdict(replace(self, forecasts={}))

    def _expected(self, row: Row) -> int:
        if row.name in self.forecasts:
            return self.forecasts[row.name].nbytes
        return row.budget or 0 if row.action == "kept" else parse_codec(row.codec).nbytes(row.spec, row.budget)


def covers(entry: Entry) -> bool:
    """Whether a tensor is coded: changed float matrices, embeddings and heads included. One-dimensional tensors,
    integers and small convolutions are kept exact; packed experts are coded as one tall matrix."""
    spec = entry.shared_spec
    if not (entry.parts and spec.is_float and spec.numel and len(spec.shape) >= 2):
        return False
    return len(spec.shape) == 2 or min(matrix_shape(spec)) >= _EXPERT


def plan_rows(delta: Delta, choice: Choice, unchanged: Sequence[str] = ()) -> tuple[Row, ...]:
    """A row per tensor, without budgets. `unchanged` are tensors known to equal the base's."""
    same = set(unchanged)
    rows = tuple(_row(name, delta.entries[name], name in same, choice) for name in delta.specs)
    exact = [row.name for row in rows if row.action == "exact" and covers(delta.entries[row.name])]
    coded = [row.name for row in rows if row.action == "codec"] + exact
    check_patterns(choice, [*coded, *unchanged], list(delta.specs))
    if not coded:
        raise NoEffectError("no matrix of this delta differs from the base", remedy="name the fine-tuned model")
    return rows


def _row(name: str, entry: Entry, unchanged: bool, choice: Choice) -> Row:
    action = "codec" if covers(entry) else "exact"
    if entry.added is None and (unchanged or not entry.parts):
        action = "unchanged"
    elif unchanged or isinstance(choice.of(name), Exactly):
        action = "exact"  # where nothing changed, only its added rows are left
    spec = entry.shared_spec if action == "codec" else entry.spec
    return Row(name, spec.shape, spec.dtype, action, codec=spell(choice.of(name)) if action == "codec" else "")
