"""Which text is looked at, how much of it, and whether a model can run on it here."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from deltakit.calibrate.text import Text, open_text
from deltakit.errors import InputError, RecipeError, ResourceError

if TYPE_CHECKING:
    from deltakit.calibrate.batches import Batches
    from deltakit.calibrate.walk import Walker
    from deltakit.checkpoint import Sidecar
    from deltakit.tensors import TensorSpec

__all__ = ["LENGTH", "Sampling", "check_runnable", "open_walker", "room"]

_LOG = logging.getLogger("deltakit")
_FEW = 1024  # tokens; fewer than most matrices have inputs
LENGTH = 512  # tokens of a sample, where neither the person nor the model says less


@dataclass(frozen=True)
class Sampling:
    """A .txt or .jsonl file (None: the built-in neutral text), at most `samples` stretches of `length` tokens (None:
    512, or what the model can hold), `batch` of them at once."""

    text: str | None = None
    samples: int = 128
    length: int | None = None
    batch: int = 8

    def __post_init__(self) -> None:
        for name, value, least in (("samples", self.samples, 1), ("batch", self.batch, 1), ("length", self.length, 2)):
            if value is not None and value < least:
                raise RecipeError(f"calibration {name} {value} is below {least}", remedy=f"use {least} or more")

    def batches(self, sidecar: Sidecar) -> Batches:
        """The token ids, by the tokenizer of a sidecar. InputError for a text that is missing, empty or too short."""
        return self.of(open_text(self.text), sidecar)

    def of(self, text: Text, sidecar: Sidecar) -> Batches:
        """The same of a text that is open already."""
        from deltakit.calibrate.batches import encode_text
        from deltakit.runtime import load_tokenizer

        length = self.length or room(sidecar)
        found = encode_text(text, load_tokenizer(sidecar), samples=self.samples, length=length, batch=self.batch)
        if found.tokens < min(_FEW, self.samples * length):
            _LOG.warning("%s gives %d tokens: so few say little about a model's inputs", text.name, found.tokens)
        return found

    def described(self, batches: Batches) -> dict[str, Any]:
        """What decides the numbers that come of it, JSON-able: the text by its digest, and what was found in it."""
        found = {"samples": len(batches.ids), "length": batches.length, "batch": batches.size}
        return {"text": open_text(self.text).digest(), **found}


def open_walker(specs: Mapping[str, TensorSpec], sidecar: Sidecar, batches: Batches, device: str = "cpu") -> Walker:
    """A frame that models of these shapes walk through. ResourceError where the device is not there."""
    import torch

    from deltakit.calibrate.walk import Walker

    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ResourceError("there is no CUDA device here", remedy="use the device cpu")
    return Walker(specs, sidecar, batches, device=device)


def check_runnable(sidecar: Sidecar, what: str, whose: str = "the model") -> None:
    """Before a weight is read: RecipeError without transformers, InputError without configuration or tokenizer."""
    if find_spec("transformers") is None:
        raise RecipeError(
            f"{what} runs the model, which needs transformers", remedy='pip install "deltakit-llm[models]"'
        )
    if sidecar.config is None or not any(n.startswith(("tokenizer", "vocab", "spiece")) for n in sidecar.files):
        lacks = "config.json" if sidecar.config is None else "tokenizer"
        raise InputError(f"{what} runs the model, and {whose} has no {lacks}", remedy=f"add its {lacks}")


def room(sidecar: Sidecar) -> int:
    """Tokens of a sample: 512, or what the model can hold."""
    config = sidecar.config or {}
    config = config.get("text_config", config)
    known = config.get("max_position_embeddings") or config.get("n_positions") or LENGTH
    return min(LENGTH, int(known))
