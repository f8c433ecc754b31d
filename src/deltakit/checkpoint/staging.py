"""A staging folder beside the output: filled, resumed after a kill, and committed in one rename.

    OUT.lock                           held while a run writes OUT
    OUT.partial-<plan digest>/journal.jsonl   what is finished (journal.py)
    OUT.partial-<plan digest>/files/          what becomes OUT

The journal goes just before the rename, so a staging folder without one is litter and starts afresh.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from deltakit import manifest as manifests
from deltakit.checkpoint import disk
from deltakit.checkpoint.journal import Journal
from deltakit.checkpoint.lock import Lock
from deltakit.errors import DeltakitError, InputError, RecipeError, UnsafeError

__all__ = ["Staging", "check_apart", "check_output", "resolved", "staging_root", "sync_tree"]


class Staging:
    """`with Staging(out, plan) as staging`: write into `staging.folder`, note it in `staging.journal`, then commit.

    `plan` must tell apart any two runs whose bytes differ: inputs, recipe, seed. An error or a kill leaves the
    folder, and the same plan resumes; bad input (InputError) leaves nothing, since going on would mix.
    `inputs` are the files and folders read from; an output that is or holds or lies in one is refused.
    """

    folder: Path
    journal: Journal

    def __init__(
        self, out: Path, plan: Mapping[str, Any], overwrite: bool = False, *, inputs: Sequence[Path] = ()
    ) -> None:
        self.out = resolved(out)
        self.plan = manifests.digest(plan)
        self.overwrite = overwrite
        self.root = staging_root(self.out, plan)
        self.folder = self.root / "files"
        self._inputs = tuple(Path(p).resolve() for p in inputs)
        self._lock = Lock(self.out)
        self._committed = False

    def __enter__(self) -> Staging:
        check_apart(self.out, self._inputs)
        disk.make_folder(self.out.parent)
        self._lock.take()
        try:
            self._recover()
            if self.root.is_symlink():
                raise UnsafeError(f"{self.root} is a symlink", remedy="remove it; deltakit never makes one there")
            journal = self.root / "journal.jsonl"
            if self.root.exists() and not (journal.exists() and self.folder.is_dir()):
                disk.remove_tree(self.root)  # killed before its journal, or after its commit
            check_output(self.out, self.overwrite)
            disk.make_folder(self.folder)
            disk.fsync_folder(self.out.parent)
            self.journal = Journal(journal, self.folder, self.plan)
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            try:
                self.journal.close()
                if not self._committed and (isinstance(error, InputError) or len(self.journal) == 0):
                    disk.remove_tree(self.root)
            finally:
                self._lock.release()
        except DeltakitError:
            if error is None:  # else the first failure is the one to tell
                raise

    def commit(self, manifest: Mapping[str, Any] | None = None) -> None:
        """Make `folder` the output: sync all, the manifest last, one rename. An old output lives until then."""
        self._check_kind(folder=True)
        sync_tree(self.folder)
        if manifest is not None:
            disk.write_file(self.folder / manifests.MANIFEST_NAME, manifests.pretty_json(manifest))
            disk.fsync_folder(self.folder)
        replaced = self.out.is_dir()
        if replaced:
            _keep_modes(self.out, self.folder)
        self._drop_journal()
        if replaced and any(self.out.iterdir()):
            disk.exchange(self.folder, self.out)
        else:
            disk.rename(self.folder, self.out)
        self._finish()

    def commit_file(self, name: str) -> None:
        """Make the one file `folder`/`name` the output, replacing an old file only now."""
        self._check_kind(folder=False)
        sync_tree(self.folder)
        made = self.folder / name
        if self.out.exists():
            disk.set_mode(made, stat.S_IMODE(self.out.stat().st_mode))
        self._drop_journal()
        disk.rename(made, self.out)
        self._finish()

    def _recover(self) -> None:
        """Finish or undo an exchange that a kill cut in two (only where the system cannot swap in one step)."""
        old = disk.aside(self.out)
        if old.exists() and self.out.exists():
            disk.remove_tree(old)
        elif old.exists():
            disk.rename(old, self.out)

    def _check_kind(self, folder: bool) -> None:
        if self.out.exists() and self.out.is_dir() != folder:
            there = "a folder" if self.out.is_dir() else "a file"
            raise InputError(f"output {self.out} is {there}", remedy="choose another output, or remove it first")

    def _drop_journal(self) -> None:
        self.journal.close()
        disk.remove(self.root / "journal.jsonl")
        disk.fsync_folder(self.root)

    def _finish(self) -> None:
        self._committed = True
        disk.fsync_folder(self.out.parent)
        disk.remove_tree(self.root)


def resolved(out: str | Path) -> Path:
    """The output as an absolute path, symlinks followed. RecipeError for what can be no path."""
    try:
        path = Path(out).resolve()
        path.exists()  # a name too long for the file system shows here
        return path
    except (OSError, RuntimeError, ValueError) as error:
        raise RecipeError(f"output {str(out)!r} is no usable path: {error}", remedy="choose another output") from None


def staging_root(out: Path, plan: Mapping[str, Any]) -> Path:
    """OUT.partial-<first 12 hex digits of the plan's digest>."""
    return out.with_name(f"{out.name}.partial-{manifests.digest(plan).partition(':')[2][:12]}")


def check_apart(out: Path, inputs: Sequence[Path]) -> None:
    """InputError if the output is an input, lies in one, or holds one (paths resolved)."""
    for given in inputs:
        if out == given:
            raise InputError(f"output {out} is also an input", remedy="choose another output; inputs are never changed")
        if out.is_relative_to(given):
            raise InputError(f"output {out} lies inside the input {given}", remedy="choose an output outside of it")
        if given.is_relative_to(out):
            raise InputError(f"output {out} holds the input {given}", remedy="choose another output")


def check_output(out: Path, overwrite: bool) -> None:
    """InputError if something stands at `out` that must not be replaced."""
    if os.path.ismount(out):
        raise InputError(f"output {out} is a mount point", remedy="choose a folder inside of it")
    if out.is_dir() and any(out.iterdir()):
        if not overwrite:
            raise InputError(f"output folder {out} is not empty", remedy="choose another output, or pass --overwrite")
        if not _ours(out):
            problem = f"output folder {out} was not made by deltakit (no {manifests.MANIFEST_NAME} in it)"
            raise InputError(problem, remedy="remove it yourself if you are sure, or choose another output")
    elif out.exists() and not out.is_dir() and not (overwrite and out.is_file()):
        raise InputError(f"output {out} is a file that exists", remedy="choose another output, or pass --overwrite")


def sync_tree(folder: Path) -> None:
    """Sync every file below a folder, then the folders."""
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            sync_tree(entry)
        else:
            fd = disk.create(entry)
            try:
                disk.fsync(fd, entry)
            finally:
                disk.close(fd)
    disk.fsync_folder(folder)


def _ours(folder: Path) -> bool:
    try:
        return "schema_version" in json.loads((folder / manifests.MANIFEST_NAME).read_bytes())
    except (OSError, ValueError):
        return False


def _keep_modes(old: Path, new: Path) -> None:
    """Files and the folder keep the permission bits that a person gave the old ones."""
    disk.set_mode(new, stat.S_IMODE(os.stat(old).st_mode))
    for entry in sorted(new.iterdir()):
        before = old / entry.name
        if before.is_file() and not before.is_symlink():
            disk.set_mode(entry, stat.S_IMODE(before.stat().st_mode))
