"""What a run knows of the inputs of its matrices: nothing, what a file holds, or what a walk will show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from deltakit.checkpoint.pump import Progress, silent
from deltakit.compress.hessian import Hessian
from deltakit.compress.run.encode import Encoder
from deltakit.compress.run.operands import Operands
from deltakit.compress.run.request import Request
from deltakit.delta.file.segments import Segments

__all__ = ["Blind", "Sight", "look"]


class Sight(Protocol):
    """`note` decides the bytes and is kept in the archive; `hessians` are those known while planning."""

    @property
    def note(self) -> Mapping[str, Any]: ...

    @property
    def hessians(self) -> Mapping[str, Hessian]: ...

    def fill(self, encoder: Encoder, segments: Segments) -> None:
        """Make every segment that is not finished."""
        ...


class Blind:
    """Nothing: every matrix is coded by itself, and all inputs count alike."""

    note: Mapping[str, Any] = {}
    hessians: Mapping[str, Hessian] = {}

    def fill(self, encoder: Encoder, segments: Segments) -> None:
        """In the order of names."""
        segments.pull(encoder.delta.specs, encoder.entry)


def look(operands: Operands, request: Request, progress: Progress = silent) -> Sight:
    """What a request asks to look at. Text and tokenizer are opened here; see `calibrated.Walk` and `store.Kept`."""
    from deltakit.compress.run.calibrated import Walk

    if request.sampling is not None:
        return Walk.of(operands, request.sampling, request.device)
    return Blind()
