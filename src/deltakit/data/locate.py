"""Where local data lies: DELTAKIT_DATA, else ../shared/data beside the checkout or beside the current folder."""

from __future__ import annotations

import os
from pathlib import Path

from deltakit.errors import InputError

__all__ = ["VARIABLE", "data_root", "find_data"]

VARIABLE = "DELTAKIT_DATA"


def _checkout() -> Path:
    """The folder that holds src/; where the package is installed without its checkout, nothing is found beside it."""
    return Path(__file__).resolve().parents[3]


def data_root() -> Path | None:
    """The folder of local data sets, or None; DELTAKIT_DATA naming no folder is an InputError."""
    named = os.environ.get(VARIABLE)
    if named:
        if not Path(named).is_dir():
            raise InputError(
                f"{VARIABLE} names {named}, which is no folder", remedy=f"set {VARIABLE} to a folder, or unset it"
            )
        return Path(named)
    for beside in (_checkout(), Path.cwd()):
        folder = beside.parent / "shared" / "data"
        if folder.is_dir():
            return folder
    return None


def find_data(name: str, root: Path | None = None) -> Path | None:
    """A file such as "gsm8k/test.jsonl" under `root` (default: `data_root()`), or None."""
    root = data_root() if root is None else root
    found = None if root is None else root / name
    return found if found is not None and found.is_file() else None
