"""Computed tensors on disk until they are written: what a walk makes in one go, and writers pull in another order."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO

import numpy as np

from deltakit.delta.terms.base import Float32
from deltakit.tensors import TensorSpec

__all__ = ["Spool"]


@dataclass(frozen=True)
class Spool:
    """float32 tensors in an unnamed temporary file (in TMPDIR), which is gone with the process. One thread puts,
    then any number may read."""

    specs: Mapping[str, TensorSpec]
    _file: IO[bytes] = field(default_factory=tempfile.TemporaryFile, repr=False)
    _at: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        weakref.finalize(self, self._file.close)

    def __contains__(self, name: str) -> bool:
        return name in self._at

    def put(self, name: str, values: Float32) -> None:
        """A whole tensor, in any shape of its size."""
        self._at[name] = self._file.seek(0, 2)
        self._file.write(np.ascontiguousarray(values, "<f4").data.cast("B"))
        self._file.flush()

    def rows(self, name: str, lo: int, hi: int) -> Float32:
        """Rows lo..hi, (hi - lo, row_size) in memory of their own."""
        size = self.specs[name].row_size
        mapped = np.memmap(self._file, "<f4", "r", self._at[name] + 4 * lo * size, (hi - lo, size))
        return np.array(mapped, np.float32)
