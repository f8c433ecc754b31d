"""What is asked of a compression: the one thing that crosses from the command line to the library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Request", "Sampling"]


@dataclass(frozen=True)
class Sampling:
    """The text that data-aware compression looks at: a .txt or .jsonl file (None: the built-in neutral text), at most
    `samples` stretches of `length` tokens (None: 512, or what the model can hold), `batch` of them at once."""

    text: str | None = None
    samples: int = 128
    length: int | None = None
    batch: int = 8


@dataclass(frozen=True)
class Request:
    """The delta `tuned` - `base` (paths, hub ids; `tuned` may be a delta file, an adapter or a recipe) into `out`.

    `codec` is spelled as in a recipe. `ratio` is for the payload of the coded matrices, against their bytes in the
    fine-tune; `nbytes` for the whole file, which ends at or under it. `sampling` turns calibration on. `against` names
    the checkpoint that is served in the base's place, quantised or not. Threads change no byte; 0 means one a core.
    """

    base: str
    tuned: str
    out: Path
    codec: str = "svd_mixed"
    ratio: float | None = None
    nbytes: int | None = None
    sampling: Sampling | None = None
    against: str = ""
    device: str = "cpu"
    threads: int = 0
    overwrite: bool = False
