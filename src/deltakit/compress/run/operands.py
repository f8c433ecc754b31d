"""What a compression reads, opened: a base, and a fine-tune, adapter, recipe or delta file over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deltakit.checkpoint.checksum import checksum
from deltakit.checkpoint.dequantised import open_floats
from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import Checkpoint, open_checkpoint
from deltakit.delta.adapter import is_adapter
from deltakit.delta.difference import difference
from deltakit.delta.expression import Delta
from deltakit.delta.file.container import is_delta
from deltakit.delta.file.extract import extraction
from deltakit.delta.open import Model, local_paths, open_as_delta, open_model, parse_expression
from deltakit.errors import MismatchError
from deltakit.manifest import portable

__all__ = ["Operands", "mark_of", "open_operands", "tuned_model", "tuned_text"]

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


def open_operands(base: str, tuned: str, against: str = "") -> Operands:
    """Open the two. A delta file or an adapter must belong to the base (MismatchError).

    `against`: the checkpoint that is served in the base's place (FP8, packed 4-bit, ...). The delta is then taken from
    its numbers as they are dequantised, so that the archive makes up for what quantising them lost.
    """
    if against:
        return _over(open_floats(against), tuned_model(base, tuned))
    first, operands = parse_expression(tuned)
    if operands:
        return _sum(base, first, tuned)
    opened, path = open_checkpoint(base), Path(tuned)
    if is_delta(path):
        return Operands(opened, open_as_delta(tuned, opened), (opened,), (*opened.inputs, path), mark_of([path]))
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return Operands(opened, open_as_delta(tuned, opened), (opened,), (*opened.inputs, path))
    delta, inputs = extraction(opened, tuned)
    return Operands(opened, delta, inputs, tuple(p for c in inputs for p in c.inputs))


def mark_of(paths: Sequence[Path]) -> str:
    """What tells apart delta files: their headers, which end in the digests of their indexes."""
    heads = []
    for path in paths:
        with path.open("rb") as file:
            heads.append(file.read(_HEAD))
    return checksum(b"".join(heads))


def _sum(base: str, first: str, text: str) -> Operands:
    """An expression over the base: its parts stay what they are until a codec projects their sum."""
    opened, model = open_checkpoint(base), open_model(text)
    if model.base is None or model.delta is None or fingerprint(model.base) != fingerprint(opened):
        raise MismatchError(f"{text!r} stands over {first}, not over {base}", remedy=f'write "{base} + ..."')
    paths = local_paths(text)
    delta = replace(model.delta, lineage=replace(model.delta.lineage, note={"expression": portable(text)}))
    return Operands(opened, delta, (opened,), paths, mark_of([p for p in paths if is_delta(p)]))


def tuned_model(base: str, tuned: str) -> Model:
    """The fine-tune as a model: itself, or what a delta makes of its base."""
    return open_model(tuned_text(base, tuned), dequantise=True)


def tuned_text(base: str, tuned: str) -> str:
    """The fine-tune as a MODEL string: a checkpoint is one, a delta is one over its base."""
    path = Path(tuned)
    return f"{base} + {tuned}" if is_delta(path) or (path.is_dir() and is_adapter(path)) else tuned


def _over(served: Checkpoint, model: Model) -> Operands:
    """The difference of a model from a checkpoint that is served."""
    tuned = model.tensors
    inputs = (served, *(c for c in (model.base, tuned) if isinstance(c, Checkpoint)))
    paths = (*(p for c in inputs for p in c.inputs), *local_paths(model.source))
    delta = replace(difference(served, tuned, note={"against": portable(list(served.notes))}), sidecar=model.sidecar)
    return Operands(served, delta, inputs, paths, mark_of([p for p in paths if is_delta(p)]))
