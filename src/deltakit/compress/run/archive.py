"""Compress: a delta's matrices through a codec, everything else exact, streamed into one archive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from deltakit.checkpoint.pump import Progress, silent
from deltakit.compress.codec import Context, parse_codec
from deltakit.compress.hessian import Hessian
from deltakit.compress.plan.choice import parse_choice
from deltakit.compress.plan.plan import Plan, Row
from deltakit.compress.plan.planning import changed, noted, plan_compression
from deltakit.compress.run.operands import Operands
from deltakit.compress.run.request import Request
from deltakit.delta.expression import Delta, Entry, Lineage, Part, total
from deltakit.delta.file.container import open_archive
from deltakit.delta.file.write import write_delta
from deltakit.delta.site import Site
from deltakit.delta.terms.base import Float32
from deltakit.delta.terms.lowrank import matrix_shape
from deltakit.errors import InputError
from deltakit.tensors import row_blocks

__all__ = ["Compressed", "compress", "compressed", "changed", "encoded", "noted", "plan_compression"]


@dataclass(frozen=True)
class Compressed:
    """A written archive. `payload` counts the coded matrices alone; `model` and `covered` are the bytes that all
    tensors and the coded matrices have in the fine-tune; `kinds` says what each tensor is stored as."""

    path: Path
    plan: Plan
    nbytes: int
    payload: int
    covered: int
    elements: int
    model: int
    resumed: int
    kinds: Mapping[str, str]

    @property
    def ratio(self) -> float:
        """Bytes of the coded matrices in the fine-tune, over their payload here."""
        return self.covered / max(1, self.payload)

    @property
    def file_ratio(self) -> float:
        """Bytes of all tensors in the fine-tune, over the whole file here."""
        return self.model / self.nbytes

    @property
    def bits(self) -> float:
        """Bits per parameter of the coded matrices, everything counted."""
        return 8 * self.payload / max(1, self.elements)


def compress(operands: Operands, request: Request, progress: Progress = silent) -> Compressed:
    """Write the delta of `operands` to `request.out`, its matrices coded as the request says.

    A killed run resumes, and ends in the same bytes. Errors: RecipeError (codec, size), ResourceError (the size is too
    small; disk), InputError (non-finite numbers; output), NoEffectError (no change).
    """
    delta, sidecar = operands.delta, operands.base.sidecar
    plan = plan_compression(
        delta, parse_choice(request.codec), ratio=request.ratio, nbytes=request.nbytes, base=sidecar,
        threads=request.threads, progress=progress,
    )  # fmt: skip
    made = compressed(delta, plan, request.device)
    written = write_delta(
        request.out, made, plan={"action": "compress", "mark": operands.mark, **plan.as_dict()}, base=sidecar,
        overwrite=request.overwrite, inputs=operands.inputs, threads=request.threads, progress=progress,
    )  # fmt: skip
    return _summary(Path(request.out), delta, plan, written.resumed)


def compressed(delta: Delta, plan: Plan, device: str = "cpu") -> Delta:
    """The delta with its covered matrices coded as their rows say, each when it is asked for."""
    rows = {row.name: row for row in plan.rows}
    return noted(delta, plan.codec).map(lambda name, entry: encoded(rows[name], entry, delta.lineage, device=device))


def encoded(row: Row, entry: Entry, lineage: Lineage, *, hessian: Hessian | None = None, device: str = "cpu") -> Entry:
    """One tensor as it is stored."""
    if row.action != "codec":
        _check_exact(row.name, entry)
        return entry
    _check_exact(row.name, replace(entry, parts=()))
    codec = parse_codec(row.codec)
    if _small_enough(entry, codec.nbytes(row.spec, row.budget)):
        return entry
    values = total(entry.parts, 0, entry.shared, row.spec.row_size).reshape(matrix_shape(row.spec))
    _check_finite(row.name, values)
    if not values.any():
        return replace(entry, parts=())
    terms = codec.encode(values, Context(Site(row.name, lineage.key), row.spec, row.budget, hessian, device))
    return replace(entry, parts=tuple(Part(1.0, term) for term in terms))


def _small_enough(entry: Entry, limit: int) -> bool:
    """A delta that is stored in fewer bytes already (a LoRA's factors) is kept: smaller, and nothing is lost."""
    return all(part.term.nbytes for part in entry.parts) and sum(part.term.nbytes for part in entry.parts) <= limit


def _check_exact(name: str, entry: Entry) -> None:
    """What is kept bit for bit must be finite too, added rows included."""
    spec = entry.shared_spec
    if not spec.is_float:
        return
    for lo, hi in row_blocks(spec) if entry.parts else ():
        _check_finite(name, total(entry.parts, lo, hi, spec.row_size))
    if entry.added is not None:
        for lo, hi in row_blocks(entry.added.spec):
            _check_finite(name, entry.added.rows(lo, hi))


def _check_finite(name: str, values: Float32) -> None:
    bad = values.size - int(np.isfinite(values).sum())
    if bad:
        raise InputError(
            f"tensor {name!r}: {bad} of {values.size} differences are not finite",
            remedy="the fine-tune or the base holds NaN or infinity; repair it before compressing",
        )


def _summary(out: Path, delta: Delta, plan: Plan, resumed: int) -> Compressed:
    """Counted from the file as it lies on disk."""
    archive = open_archive(out)
    parts = {name: list(item.get("p", ())) for name, item in archive.index["tensors"].items()}
    coded = [row for row in plan.covered if parts[row.name]]
    return Compressed(
        path=out,
        plan=plan,
        nbytes=out.stat().st_size,
        payload=sum(p[-1] for row in coded for p in parts[row.name]),
        covered=sum(row.spec.nbytes for row in coded),
        elements=sum(row.spec.numel for row in coded),
        model=sum(spec.nbytes for spec in delta.specs.values()),
        resumed=resumed,
        kinds={name: _kind(item) for name, item in archive.index["tensors"].items()},
    )


def _kind(item: Mapping[str, Any]) -> str:
    """What a tensor is stored as: the kinds of its terms, added rows last."""
    kinds = [part[1] for part in item.get("p", ())] + ([item["a"][0]] if "a" in item else [])
    return "+".join(kinds) or "unchanged"
