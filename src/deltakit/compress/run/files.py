"""Compress what is named on a command line: a base, and a fine-tune, adapter, recipe or delta file over it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltakit.checkpoint.checksum import checksum
from deltakit.checkpoint.open import Checkpoint, open_checkpoint
from deltakit.checkpoint.pump import Progress, silent
from deltakit.checkpoint.staging import check_apart
from deltakit.compress.codec import parse_codec
from deltakit.compress.run.archive import Compressed, compress, plan_compression
from deltakit.delta.expression import Delta
from deltakit.delta.file.container import is_delta
from deltakit.delta.file.extract import extraction
from deltakit.delta.file.write import plan_delta
from deltakit.delta.open import open_as_delta

__all__ = ["Operands", "compress_files", "open_operands", "plan_files"]

_HEAD = 40  # bytes of a delta file's header, which ends in the digest of its index


@dataclass(frozen=True)
class Operands:
    """An open base, a delta bound to it, the checkpoints that are read, and a mark of what a file held."""

    base: Checkpoint
    delta: Delta
    inputs: tuple[Checkpoint, ...]
    paths: tuple[Path, ...]
    mark: str = ""


def open_operands(base: str, tuned: str) -> Operands:
    """Open the two. A delta file or an adapter must belong to the base (MismatchError)."""
    opened, path = open_checkpoint(base), Path(tuned)
    if is_delta(path):
        with path.open("rb") as file:
            mark = checksum(file.read(_HEAD))
        return Operands(opened, open_as_delta(tuned, opened), (opened,), (*opened.inputs, path), mark)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return Operands(opened, open_as_delta(tuned, opened), (opened,), (*opened.inputs, path))
    delta, inputs = extraction(opened, tuned)
    return Operands(opened, delta, inputs, tuple(p for c in inputs for p in c.inputs))


def plan_files(
    base: str, tuned: str, codec: str, out: Path, *, ratio: float | None, nbytes: int | None, overwrite: bool = False
) -> dict[str, Any]:
    """What `compress_files` would do, JSON-able; raises what it would raise before it encodes."""
    made, operands = parse_codec(codec), open_operands(base, tuned)
    written = plan_delta(out, operands.delta, overwrite=overwrite, inputs=list(operands.paths))
    plan = plan_compression(operands.delta, made, ratio=ratio, nbytes=nbytes, base=operands.base.sidecar)
    payload = sum(made.nbytes(row.spec, row.budget) for row in plan.covered)
    covered = sum(row.spec.nbytes for row in plan.covered)
    actions = [row.action for row in plan.rows]
    return {
        **plan.as_dict(), "output": str(out), "free": written["free"],
        "matrices": len(plan.covered), "exact": actions.count("exact"), "unchanged": actions.count("unchanged"),
        "payload": payload, "covered": covered, "payload_ratio": covered / payload,
    }  # fmt: skip


def compress_files(
    base: str,
    tuned: str,
    codec: str,
    out: Path,
    *,
    ratio: float | None = None,
    nbytes: int | None = None,
    overwrite: bool = False,
    threads: int = 0,
    progress: Progress = silent,
) -> Compressed:
    """Compress TUNED - BASE (or a delta file of BASE) to the archive `out`. See `archive.compress`."""
    made, operands = parse_codec(codec), open_operands(base, tuned)
    check_apart(Path(out).resolve(), [p.resolve() for p in operands.paths])
    return compress(
        operands.base, operands.delta, made, Path(out), ratio=ratio, nbytes=nbytes, overwrite=overwrite,
        inputs=operands.inputs, mark=operands.mark, threads=threads, progress=progress,
    )  # fmt: skip
