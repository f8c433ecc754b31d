"""What a compression reads, opened: a base, and a fine-tune, adapter, recipe or delta file over it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deltakit.checkpoint.checksum import checksum
from deltakit.checkpoint.open import Checkpoint, open_checkpoint
from deltakit.delta.expression import Delta
from deltakit.delta.file.container import is_delta
from deltakit.delta.file.extract import extraction
from deltakit.delta.open import open_as_delta

__all__ = ["Operands", "open_operands"]

_HEAD = 40  # bytes of a delta file's header, which ends in the digest of its index


@dataclass(frozen=True)
class Operands:
    """An open base, a delta bound to it, the checkpoints that are read, the paths that they lie at, and a mark that
    tells apart deltas of one lineage that hold other numbers."""

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
