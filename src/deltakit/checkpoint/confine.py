"""File names that come from inside a checkpoint stay inside its folder."""

from __future__ import annotations

from pathlib import Path

from deltakit.errors import UnsafeError

__all__ = ["confined"]


def confined(folder: Path, name: str) -> Path:
    """The path of the plain file name `name` in `folder`; UnsafeError if it leads anywhere else.

    A symlink may stay in the folder, or lead from a Hugging Face cache's `snapshots/<revision>` to
    the `blobs` of the same repository, and nowhere else.
    """
    plain = name not in ("", ".", "..") and not any(c in name for c in "/\\:\0")
    if not plain:
        raise UnsafeError(f"{folder}: file name {name!r} is not a plain name inside the folder", remedy=_REMEDY)
    root = folder.resolve()
    path = root / name
    if path.is_symlink():
        target = path.resolve()
        if not target.is_relative_to(root) and not _cache_blob(root, target):
            raise UnsafeError(f"{folder}: {name!r} is a symlink that leaves the folder", remedy=_REMEDY)
    return path


_REMEDY = "do not trust this checkpoint; if you made the link yourself, put the file there or name it directly"


def _cache_blob(root: Path, target: Path) -> bool:
    repository = root.parent.parent
    in_cache = root.parent.name == "snapshots" and repository.name.startswith("models--")
    return in_cache and target.parent == repository / "blobs"
