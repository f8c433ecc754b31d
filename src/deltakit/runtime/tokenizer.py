"""The tokenizer of a sidecar: its files are laid in a private temporary folder for transformers to read."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from deltakit.errors import InputError

if TYPE_CHECKING:
    from deltakit.checkpoint import Sidecar

__all__ = ["load_tokenizer"]

_ANY_OF = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")


def load_tokenizer(sidecar: Sidecar) -> Any:
    """The transformers tokenizer that the files describe; no code from outside, no network.

    Raises InputError if no tokenizer file is there or transformers cannot read it.
    """
    from transformers import AutoTokenizer

    clean = sidecar.cleaned()[0]
    if not any(name in clean.files for name in _ANY_OF):
        raise InputError("the model has no tokenizer", remedy=f"put one of {', '.join(_ANY_OF)} beside the weights")
    with TemporaryDirectory(prefix="deltakit-tokenizer-") as folder:
        for name, content in sorted(clean.files.items()):
            (Path(folder) / Path(name).name).write_bytes(content)
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        except (ValueError, OSError, KeyError) as error:
            raise InputError(f"transformers cannot read the tokenizer: {error}", remedy="re-export it") from error
    tokenizer.name_or_path = ""  # the folder is gone, and its random name must not enter any result
    return tokenizer
