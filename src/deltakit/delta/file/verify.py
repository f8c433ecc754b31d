"""Check a delta file: header, index, every blob's checksum, every term's sizes; in full also every number."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deltakit.checkpoint.pump import Progress, silent
from deltakit.delta.expression import Entry
from deltakit.delta.file.container import Archive, open_archive
from deltakit.delta.terms.base import Term
from deltakit.errors import CheckpointError, DeltakitError, VerificationError
from deltakit.tensors import Mapped, TensorSpec, row_blocks

__all__ = ["VerifiedDelta", "verify_delta"]

_BLOCK = 8 << 20


@dataclass(frozen=True)
class VerifiedDelta:
    """What was checked: tensors and the bytes of the file; in full, the SHA-256 of the whole file."""

    tensors: int
    nbytes: int
    sha256: str = ""


def verify_delta(path: str | Path, *, full: bool = False, progress: Progress = silent) -> VerifiedDelta:
    """Read every byte; VerificationError lists every tensor and file that is damaged.

    Checksums find what disks and networks do. `full` decodes every term as well, in ranges of rows, and finds what a
    faulty writer did: planes that do not unpack, numbers that are not finite. It gives the SHA-256 of the file.
    """
    try:
        archive = open_archive(path)
    except CheckpointError as broken:
        raise VerificationError(broken.message, remedy=broken.remedy, details=broken.details) from broken
    problems: list[str] = []
    progress.start("verifying", len(archive.data))
    try:
        for name, (start, stop) in archive.places.items():
            problems += _tensor(archive, name, full)
            progress.advance(stop - start, name)
        for name, (start, stop) in archive.files.items():
            problems += _file(archive, name)
            progress.advance(stop - start, name)
    finally:
        progress.stop()
    if problems:
        raise VerificationError(f"{path} is damaged", details=problems, remedy="fetch or make the file again")
    return VerifiedDelta(len(archive.places), len(archive.data), _digest(archive.data) if full else "")


def _tensor(archive: Archive, name: str, full: bool) -> Iterator[str]:
    """What is wrong with one tensor."""
    try:
        entry = archive.entry(name)
        wrong = sum(_decode(archive, name, term) for term in entry.terms) if full else 0
    except DeltakitError as broken:
        yield broken.message if repr(name) in broken.message else f"tensor {name!r}: {broken.message}"
        return
    if wrong:
        yield f"tensor {name!r}: {wrong} of {_elements(entry)} numbers are not finite"


def _decode(archive: Archive, name: str, term: Term) -> int:
    """Decode every row; how many numbers are not finite. What needs a base is decoded over one of zeros, where the
    numbers mean nothing and only their decoding is checked."""
    bound = term.bind(_zeros(archive), name)
    bits, bad = getattr(bound, "bits", None), 0
    for lo, hi in row_blocks(term.spec):
        if bits is not None:
            bits(lo, hi)
        else:
            rows = bound.rows(lo, hi)
            bad += rows.size - int(np.count_nonzero(np.isfinite(rows)))
    return bad


def _zeros(archive: Archive) -> Mapped:
    """A base of zeros for every tensor."""

    def pull(name: str, lo: int, hi: int) -> Any:
        spec: TensorSpec = archive.specs[name]
        return bytes((hi - lo) * spec.row_size * spec.itemsize)

    return Mapped(archive.specs, pull)


def _elements(entry: Entry) -> int:
    return sum(term.spec.numel for term in entry.terms)


def _file(archive: Archive, name: str) -> Iterator[str]:
    try:
        archive.file(name)
    except CheckpointError as broken:
        yield broken.message


def _digest(data: memoryview) -> str:
    state = hashlib.sha256()
    for at in range(0, len(data), _BLOCK):
        state.update(data[at : at + _BLOCK])
    return state.hexdigest()
