"""What a run knows of the inputs of its matrices: nothing, what a file holds, or what a walk will show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from deltakit.calibrate.sampling import Sampling
from deltakit.checkpoint.pump import Progress, silent
from deltakit.checkpoint.ranks import ALONE, Ranks
from deltakit.compress.hessian import Hessian
from deltakit.compress.run.device import check_device
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

    def unseen(self, names: Iterable[str]) -> list[str]:
        """Those of these matrices of which it is known beforehand that no input will be."""
        ...

    def fill(self, encoder: Encoder, segments: Segments) -> None:
        """Make every segment that is not finished."""
        ...


class Blind:
    """Nothing: every matrix is coded by itself, and all inputs count alike."""

    note: Mapping[str, Any] = {}
    hessians: Mapping[str, Hessian] = {}

    def unseen(self, names: Iterable[str]) -> list[str]:
        """All of them."""
        return list(names)

    def fill(self, encoder: Encoder, segments: Segments) -> None:
        """In the order of names."""
        segments.pull(encoder.delta.specs, encoder.entry)


def look(
    operands: Operands, request: Request, progress: Progress = silent, crew: Ranks = ALONE, *, dry: bool = False
) -> Sight:
    """What a request asks to look at. Text and tokenizer are opened here, and a file of Hessians that is not there is
    made, by one process of the crew (`dry`: it is not, and a walk stands for it). Errors: those of `calibrated.Walk.of`
    and `store`."""
    from deltakit.compress.run.calibrated import Walk
    from deltakit.compress.run.store import collect, open_hessians

    check_device(request.device)
    if request.hessians is not None:
        path = Path(request.hessians)
        if not path.exists() and crew.leads and not dry:
            collect(path, operands.base, request.sampling or Sampling(), request.device, progress)
        if crew.world > 1:
            crew.told(f"{path.resolve()}/there")
        if path.exists():
            return open_hessians(path, operands.base, request.sampling)
        return Walk.of(operands, request.sampling or Sampling(), request.device)
    if request.sampling is not None:
        return Walk.of(operands, request.sampling, request.device)
    return Blind()
