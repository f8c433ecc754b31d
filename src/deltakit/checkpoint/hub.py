"""A hub id as a local folder, through huggingface_hub: safetensors, JSON and tokenizer files only."""

from __future__ import annotations

import re
from pathlib import Path

from deltakit.checkpoint.sidecar import SIDECAR_PATTERNS
from deltakit.errors import DeltakitError, InputError

__all__ = ["hub_id", "snapshot"]

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_ID = re.compile(rf"(?P<repo>{_PART}/{_PART})(@(?P<revision>[A-Za-z0-9][A-Za-z0-9._/-]*))?")
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
        return Path(huggingface_hub.snapshot_download(repository, revision=revision, allow_patterns=_PATTERNS))
    except Exception as error:  # whatever the network library raises
        raise _refusal(named, error) from None


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
