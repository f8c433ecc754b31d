"""What is asked of a compression: the one thing that crosses from the command line to the library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deltakit.calibrate.sampling import Sampling

__all__ = ["Request", "Sampling"]


@dataclass(frozen=True)
class Request:
    """The delta `tuned` - `base` (paths, hub ids; `tuned` may be a delta file, an adapter or a recipe) into `out`.

    `codec` is spelled as in a recipe. `ratio` is for the payload of the coded matrices, against their bytes in the
    fine-tune; `nbytes` for the whole file, which ends at or under it. `sampling` turns calibration on: every layer is
    coded for the inputs that the coded layers before it give. With `hessians`, a file, for the inputs in the base
    instead, which are taken once and kept there. `against` names the checkpoint that is served in the base's place,
    quantised or not. Threads change no byte; 0 means one a core.
    """

    base: str
    tuned: str
    out: Path
    codec: str = "svd_mixed"
    ratio: float | None = None
    nbytes: int | None = None
    sampling: Sampling | None = None
    hessians: Path | None = None
    against: str = ""
    device: str = "cpu"
    threads: int = 0
    overwrite: bool = False
