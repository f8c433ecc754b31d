"""What a merge says of the models it was made from: who they are, their licences, how near they lie to the base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from deltakit.checkpoint.licence import licence_of
from deltakit.checkpoint.open import Checkpoint
from deltakit.manifest import describe_input
from deltakit.merge.sources.parents import Kinship

__all__ = ["about", "licences_in"]


def about(
    text: str, fingerprint: str, reads: Sequence[Checkpoint], kinship: Kinship | None = None, **more: Any
) -> dict[str, Any]:
    """One entry of a manifest's `inputs`. Numbers have four digits, so that they are the same on every machine."""
    said: dict[str, Any] = {}
    licence = licence_of(reads[0].path, reads[0].sidecar) if reads else None
    if licence:
        said["licence"] = licence
    if kinship is not None:
        said["kinship"] = {k: float(f"{v:.4g}") for k, v in asdict(kinship).items()}
    return describe_input(text, fingerprint, **said, **more)


def licences_in(inputs: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    """Licence by model, of a manifest's `inputs`."""
    return {str(entry["name"]): entry.get("licence") for entry in inputs if entry.get("role") != "text"}
