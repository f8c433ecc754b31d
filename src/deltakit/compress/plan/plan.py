"""What happens to every tensor of a delta, and in how many bytes; decided before anything is encoded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from deltakit.compress.codec import CODECS, Codec
from deltakit.compress.plan.allocate import allocate, hand_on
from deltakit.delta.expression import Delta, Entry
from deltakit.delta.terms.lowrank import matrix_shape
from deltakit.errors import NoEffectError, RecipeError
from deltakit.tensors import TensorSpec

__all__ = ["Plan", "Row", "check_size", "covers", "for_bytes", "plan_rows", "spell"]

_NEAR = 0.05  # a codec of fixed size may miss the ratio that was asked for by so much
_EXPERT = 16  # the smallest side of a tensor of three and more dimensions that is coded


@dataclass(frozen=True)
class Row:
    """One tensor: "codec" (coded by `codec`, spelled, in at most `budget` payload bytes, None: as the codec says),
    "exact" (kept bit for bit) or "unchanged" (equal to the base's, free)."""

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
    """Codec (spelled), what was asked for, and a row per tensor, sorted by name."""

    codec: str
    ratio: float | None
    nbytes: int | None
    rows: tuple[Row, ...]

    @property
    def covered(self) -> tuple[Row, ...]:
        """The rows that the codec codes."""
        return tuple(row for row in self.rows if row.action == "codec")

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, and all that decides the bytes: it names the staging folder."""
        return asdict(self)


def spell(codec: Codec) -> str:
    """The canonical text of a codec."""
    return CODECS.spell(codec, codec.name)


def check_size(codec: Codec, ratio: float | None, nbytes: int | None) -> None:
    """A size is asked for once, by one of the three."""
    if ratio is not None and nbytes is not None:
        raise RecipeError("both a ratio and a number of bytes were given", remedy="give --ratio or --bytes")
    if ratio is not None and not (math.isfinite(ratio) and ratio > 1):
        raise RecipeError(f"ratio {ratio} is not above 1", remedy="16 means a sixteenth of the bytes")
    if nbytes is not None and nbytes < 1:
        raise RecipeError(f"{nbytes} bytes are no size", remedy="give the size of the whole file in bytes")
    if ratio is None and nbytes is None and not codec.fixed:
        raise RecipeError(
            f"{codec.name} needs a size", remedy=f"give --ratio or --bytes; see `deltakit explain {codec.name}`"
        )


def covers(entry: Entry) -> bool:
    """Whether a tensor is coded: changed float matrices, embeddings and heads included. One-dimensional tensors,
    integers and small convolutions are kept exact; packed experts are coded as one tall matrix."""
    spec = entry.shared_spec
    if not (entry.parts and spec.is_float and spec.numel and len(spec.shape) >= 2):
        return False
    return len(spec.shape) == 2 or min(matrix_shape(spec)) >= _EXPERT


def plan_rows(delta: Delta, codec: Codec, ratio: float | None, unchanged: Sequence[str] = ()) -> tuple[Row, ...]:
    """A row per tensor; with a ratio, budgets of (bytes in the fine-tune) / ratio for each matrix.

    `unchanged` are tensors known to equal the base's. RecipeError where the codec cannot meet the ratio, ResourceError
    where the ratio leaves less than the least that works.
    """
    rows = tuple(_row(name, delta.entries[name], name in unchanged, codec) for name in delta.specs)
    coded = [row for row in rows if row.action == "codec"]
    if not coded:
        raise NoEffectError("no matrix of this delta differs from the base", remedy="name the fine-tuned model")
    if ratio is None:
        return rows
    _check_ratio(codec, coded, ratio)
    nominal = [int(row.spec.nbytes / ratio) for row in coded]
    shares = allocate(sum(nominal), nominal, [codec.least(row.spec) if not codec.fixed else 0 for row in coded])
    return with_budgets(rows, shares)


def for_bytes(rows: Sequence[Row], codec: Codec, total: int) -> tuple[Row, ...]:
    """The rows with budgets that use up `total` payload bytes as nearly as the codec can."""
    coded = [row for row in rows if row.action == "codec"]
    least = [codec.least(row.spec) for row in coded]
    shares = allocate(total, [row.spec.nbytes for row in coded], least)
    if codec.fixed:
        return with_budgets(rows, least)
    spare = total - sum(shares)
    return with_budgets(rows, hand_on(shares, lambda i, budget: codec.nbytes(coded[i].spec, budget), spare))


def with_budgets(rows: Sequence[Row], budgets: Sequence[int]) -> tuple[Row, ...]:
    """The rows, the coded ones with these budgets in turn."""
    left = iter(budgets)
    return tuple(replace(row, budget=next(left)) if row.action == "codec" else row for row in rows)


def _row(name: str, entry: Entry, unchanged: bool, codec: Codec) -> Row:
    action = "codec" if covers(entry) else "exact"
    if entry.added is None and (unchanged or not entry.parts):
        action = "unchanged"
    elif unchanged:
        action = "exact"  # only its added rows are left
    spec = entry.shared_spec if action == "codec" else entry.spec
    return Row(name, spec.shape, spec.dtype, action, codec=spell(codec) if action == "codec" else "")


def _check_ratio(codec: Codec, coded: Sequence[Row], ratio: float) -> None:
    """A codec of fixed size must reach the ratio by itself."""
    if not codec.fixed:
        return
    reached = sum(row.spec.nbytes for row in coded) / sum(codec.nbytes(row.spec, None) for row in coded)
    if abs(reached / ratio - 1) > _NEAR:
        raise RecipeError(
            f"{spell(codec)} stores these matrices at a ratio of {reached:.2f}, whatever is asked for",
            remedy=f"leave --ratio out, or choose a codec that can reach {ratio:g}: lowrank or svd_mixed",
        )
