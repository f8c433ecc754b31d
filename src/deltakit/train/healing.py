"""Compress and heal: what `deltakit compress --heal` does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from deltakit.calibrate.sampling import Sampling
from deltakit.checkpoint.pump import Progress, silent
from deltakit.checkpoint.staging import check_output
from deltakit.compress.run.archive import Compressed
from deltakit.compress.run.files import compress_files
from deltakit.compress.run.operands import tuned_model
from deltakit.compress.run.request import Request
from deltakit.errors import ResourceError
from deltakit.train.distil import Steps
from deltakit.train.heal import Healed, heal

__all__ = ["HealedArchive", "compress_and_heal"]

_ROOM = 512  # bytes that the note, and one-dimensional tensors that moved a little, may take


@dataclass(frozen=True)
class HealedArchive:
    """The archive as it was compressed, and what healing made of it."""

    compressed: Compressed
    healed: Healed


def compress_and_heal(request: Request, steps: Steps, progress: Progress = silent) -> HealedArchive:
    """Compress as the request says, then distil; the text is that of the calibration, else the built-in one.

    The archive before healing lies beside the output ("OUT.unhealed") until the healed one is whole. With a size in
    bytes the healed file keeps to it. Errors: those of `compress_files` and `heal`.
    """
    out = Path(request.out)
    check_output(out.resolve(), request.overwrite)
    between = out.with_name(out.name + ".unhealed")
    nbytes = None if request.nbytes is None else request.nbytes - _ROOM
    if nbytes is not None and nbytes < 1:
        raise ResourceError(f"{request.nbytes:,} bytes are too few to heal", remedy="leave healing out, or allow more")
    made = compress_files(replace(request, out=between, nbytes=nbytes, overwrite=True), progress)
    base = request.against or request.base
    healed = heal(
        base, between, tuned_model(request.base, request.tuned), out, steps, request.sampling or Sampling(),
        limit=request.nbytes, device=request.device, overwrite=request.overwrite, progress=progress,
    )  # fmt: skip
    between.unlink()
    return HealedArchive(replace(made, path=out, nbytes=healed.nbytes), healed)
