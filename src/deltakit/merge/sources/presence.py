"""Whether the models that a merge names are there at all: every missing one is said at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from deltakit.checkpoint.hub import hub_id
from deltakit.delta.open import parse_expression
from deltakit.errors import InputError

__all__ = ["check_present"]


def check_present(texts: Sequence[str]) -> None:
    """InputError with all local paths, within expressions too, that do not exist, if they are several: a single one is
    refused by name when it is opened."""
    lacking = list(dict.fromkeys(name for text in texts for name in _absent(text)))
    if len(lacking) > 1:
        raise InputError(
            f"{len(lacking)} of the models do not exist",
            remedy="name folders, .safetensors files, or hub ids org/name",
            details=lacking,
        )


def _absent(text: str) -> Iterator[str]:
    first, operands = parse_expression(text)
    for name in (first, *(o.name for o in operands)):
        try:
            os.fsencode(name)
            known = Path(name).exists() or hub_id(name) is not None
        except (OSError, ValueError):  # a name that the file system cannot have: opening refuses it in its own words
            known = True
        if not known:
            yield name
