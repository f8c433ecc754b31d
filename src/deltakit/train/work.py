"""The folder of a run under way, OUT.training: checkpoints to resume from, and the losses so far.

A checkpoint counts only once it is sealed: every file synced to disk, then a list of their sizes written beside them in
one rename. A kill at any moment leaves the newest sealed one to resume from; older ones go after a newer is sealed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deltakit.errors import InputError

__all__ = ["begin", "newest", "retire", "seal", "step_of", "work_folder"]

_SEAL = "complete.json"
_RUN = "run.json"
_PREFIX = "checkpoint-"


def work_folder(out: Path) -> Path:
    """OUT.training, beside the output."""
    return out.with_name(out.name + ".training")


def begin(folder: Path, identity: Mapping[str, Any], fresh: bool) -> Path | None:
    """Make the folder, or find it again; the checkpoint to resume from, or None.

    `identity` is all that decides the weights. A folder of a run with another identity is an InputError that names what
    differs; `fresh` discards whatever is there.
    """
    if fresh and folder.exists():
        shutil.rmtree(folder)
    if (folder / _RUN).is_file():
        _same(folder, json.loads((folder / _RUN).read_text()), json.loads(json.dumps(identity)))
        return newest(folder)
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} exists and is no training run", remedy="move it away, or choose another output")
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / _RUN, identity)
    return None


def _same(folder: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    details = [
        f"{key}: {_short(found.get(key))} there, {_short(wanted.get(key))} here"
        for key in sorted({*found, *wanted})
        if found.get(key) != wanted.get(key)
    ]
    if details:
        raise InputError(
            f"{folder} holds an unfinished run of another recipe",
            details=details,
            remedy="run that recipe again to resume it, discard it with --resume never, or choose another output",
        )


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= 100 else text[:97] + "..."


def step_of(checkpoint: Path) -> int:
    """The step a checkpoint folder was made at."""
    return int(checkpoint.name.removeprefix(_PREFIX))


def seal(checkpoint: Path) -> None:
    """Mark a checkpoint complete, once all its bytes are on disk."""
    files = sorted(p for p in checkpoint.rglob("*") if p.is_file() and p.name != _SEAL)
    for file in files:
        _sync(file)
    _write(checkpoint / _SEAL, {str(f.relative_to(checkpoint)): f.stat().st_size for f in files})


def newest(folder: Path) -> Path | None:
    """The newest sealed checkpoint whose files are all there with their sizes."""
    whole = [c for c in _checkpoints(folder) if _is_whole(c)]
    return whole[-1] if whole else None


def retire(folder: Path, keep: int) -> None:
    """Delete all but the newest `keep` sealed checkpoints, and those that never were sealed."""
    found = _checkpoints(folder)
    whole = [c for c in found if _is_whole(c)]
    for checkpoint in found:
        if checkpoint not in whole[-keep:]:
            shutil.rmtree(checkpoint)


def _checkpoints(folder: Path) -> list[Path]:
    found = [p for p in folder.glob(_PREFIX + "*") if p.is_dir() and p.name.removeprefix(_PREFIX).isdecimal()]
    return sorted(found, key=step_of)


def _is_whole(checkpoint: Path) -> bool:
    try:
        sizes = json.loads((checkpoint / _SEAL).read_text())
    except (OSError, ValueError):
        return False
    return all((checkpoint / n).is_file() and (checkpoint / n).stat().st_size == size for n, size in sizes.items())


def _write(path: Path, value: Mapping[str, Any]) -> None:
    """Whole or not at all."""
    half = path.with_name(path.name + ".half")
    half.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")
    _sync(half)
    half.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
