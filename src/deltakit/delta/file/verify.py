"""Check a delta file: header, index, every blob's checksum, every term's sizes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deltakit.checkpoint.pump import Progress, silent
from deltakit.delta.file.container import open_archive
from deltakit.errors import CheckpointError, VerificationError

__all__ = ["VerifiedDelta", "verify_delta"]


@dataclass(frozen=True)
class VerifiedDelta:
    """What was checked: tensors and the bytes of the file."""

    tensors: int
    nbytes: int


def verify_delta(path: str | Path, *, progress: Progress = silent) -> VerifiedDelta:
    """Read every byte; VerificationError lists every tensor and file that is damaged."""
    try:
        archive = open_archive(path)
    except CheckpointError as broken:
        raise VerificationError(broken.message, remedy=broken.remedy) from broken
    problems = []
    progress.start("verifying", len(archive.data))
    for name, (start, stop) in archive.places.items():
        try:
            archive.entry(name)
        except CheckpointError as broken:
            problems.append(broken.message)
        progress.advance(stop - start, name)
    try:
        archive.sidecar()
    except CheckpointError as broken:
        problems.append(broken.message)
    progress.stop()
    if problems:
        raise VerificationError(f"{path} is damaged", details=problems, remedy="fetch or make the file again")
    return VerifiedDelta(len(archive.places), len(archive.data))
