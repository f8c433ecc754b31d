"""A hub id as a local folder, through huggingface_hub: safetensors, JSON and tokenizer files only.

Within `headers_only()` models that are not in the cache are not fetched: their folder holds the small files, and of
each weight file the header, read by a range request, in a file of the full size whose data are a hole.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from deltakit.checkpoint.header import MAX_HEADER
from deltakit.checkpoint.sidecar import SIDECAR_PATTERNS
from deltakit.errors import DeltakitError, InputError

__all__ = ["headers_only", "hub_id", "snapshot"]

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_ID = re.compile(rf"(?P<repo>{_PART}/{_PART})(@(?P<revision>[A-Za-z0-9][A-Za-z0-9._/-]*))?")
_SMALL = [*SIDECAR_PATTERNS, "*.safetensors.index.json", "adapter_config.json"]
_HOLLOW: ContextVar[list[str] | None] = ContextVar("hollow", default=None)
_FOLDERS: ContextVar[ExitStack | None] = ContextVar("folders", default=None)
_PATTERNS = [*SIDECAR_PATTERNS, "*.safetensors", "*.safetensors.index.json", "adapter_config.json"]


def hub_id(text: str) -> tuple[str, str | None] | None:
    """(repository, revision) if `text` is "org/name" or "org/name@revision" and no existing path, else None."""
    found = _ID.fullmatch(text)
    # a misspelt path is no reason to use the network
    if (
        found is None
        or Path(text).exists()
        or Path(text).parent.is_dir()
        or text.endswith((".safetensors", ".json", ".yaml", ".delta"))
    ):
        return None
    return found["repo"], found["revision"]


def snapshot(repository: str, revision: str | None) -> Path:
    """The folder of a repository at a revision, fetched or from the cache. InputError says what failed."""
    named = f"{repository}@{revision}" if revision else repository
    try:
        import huggingface_hub
    except ModuleNotFoundError:
        remedy = "pip install 'deltakit-llm[models]', or name a local folder"
        raise InputError(f"{named} is no local path, and huggingface_hub is not installed", remedy=remedy) from None
    try:
        if _HOLLOW.get() is not None and not _cached(huggingface_hub, repository, revision):
            return _hollow(huggingface_hub, repository, revision, named)
        return Path(huggingface_hub.snapshot_download(repository, revision=revision, allow_patterns=_PATTERNS))
    except DeltakitError:
        raise
    except Exception as error:  # whatever the network library raises
        raise _refusal(named, error) from None


@contextmanager
def headers_only() -> Iterator[list[str]]:
    """Weights of hub models that are not in the cache stay on the hub; their names are in the list that is given.

    What is opened within has right names, shapes and sizes, and zeros for weights: plans may be made of it, nothing may
    be computed from it. The folders go when the block ends.
    """
    found: list[str] = []
    with ExitStack() as folders:
        tokens = _HOLLOW.set(found), _FOLDERS.set(folders)
        try:
            yield found
        finally:
            _HOLLOW.reset(tokens[0])
            _FOLDERS.reset(tokens[1])


def _cached(hub: Any, repository: str, revision: str | None) -> bool:
    """Whether every weight file of a repository is in the cache: then it is read as ever."""
    try:
        folder = Path(
            hub.snapshot_download(repository, revision=revision, allow_patterns=_PATTERNS, local_files_only=True)
        )
    except Exception:  # the library's way to say no
        return False
    return any(folder.glob("*.safetensors"))


def _hollow(hub: Any, repository: str, revision: str | None, named: str) -> Path:
    """A folder of small files and of weight files with holes."""
    folders, found = _FOLDERS.get(), _HOLLOW.get()
    if folders is None or found is None:
        raise InputError(f"{named}: no place for its headers")
    about = hub.HfApi().model_info(repository, revision=revision)
    small = Path(hub.snapshot_download(repository, revision=about.sha, allow_patterns=_SMALL))
    folder = Path(folders.enter_context(tempfile.TemporaryDirectory(prefix="deltakit-headers-")))
    for file in sorted(small.iterdir()):
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    for entry in about.siblings or ():
        if entry.rfilename.endswith(".safetensors") and "/" not in entry.rfilename:
            _header_of(hub, repository, about.sha, entry.rfilename, folder / entry.rfilename)
    found.append(named)
    return folder


def _header_of(hub: Any, repository: str, revision: str, name: str, path: Path) -> None:
    """The header of a file on the hub, in a file of the same size."""
    address = hub.hf_hub_url(repository, name, revision=revision)
    size = int(hub.get_hf_file_metadata(address).size or 0)
    start = _bytes_of(hub, address, 0, 8)
    length = int.from_bytes(start, "little")
    wanted = min(length, MAX_HEADER, max(0, size - 8))  # the strict parser says what is wrong with the rest
    with path.open("wb") as file:
        file.write(start + (_bytes_of(hub, address, 8, 8 + wanted) if wanted else b""))
        file.truncate(size)


def _bytes_of(hub: Any, address: str, lo: int, hi: int) -> bytes:
    """Bytes lo..hi of a file on the hub. InputError where the server does not answer with just these."""
    head = {**hub.utils.build_hf_headers(), "Range": f"bytes={lo}-{hi - 1}"}
    answer = hub.utils.get_session().get(address, headers=head, follow_redirects=True)
    hub.utils.hf_raise_for_status(answer)
    raw = bytes(answer.content)
    if answer.status_code != 206 or len(raw) != hi - lo:
        raise InputError(
            f"{address}: the server gave {len(raw)} bytes where {hi - lo} were asked for",
            remedy="run without --dry-run, which fetches the files",
        )
    return raw


def _refusal(named: str, error: Exception) -> DeltakitError:
    kind = type(error).__name__
    if kind in ("LocalEntryNotFoundError", "OfflineModeIsEnabled", "ConnectError", "ConnectTimeout"):
        remedy = "name a local folder, or go online (unset HF_HUB_OFFLINE) and run again"
        return InputError(
            f"{named} is no local path, is not in the cache, and the hub cannot be reached", remedy=remedy
        )
    if kind == "GatedRepoError":
        return InputError(f"{named} is gated", remedy="accept its terms on the hub and log in with `hf auth login`")
    if kind == "RevisionNotFoundError":
        return InputError(f"{named}: no such revision on the hub", remedy="check the branch, tag or commit after the @")
    if kind == "RepositoryNotFoundError":
        remedy = "check the spelling; a private model needs `hf auth login`"
        return InputError(f"{named} is neither a local path nor a model on the hub", remedy=remedy)
    first = str(error).strip().partition("\n")[0]
    return InputError(f"{named}: the hub gave {kind}: {first}", remedy="run again; finished files are kept")
