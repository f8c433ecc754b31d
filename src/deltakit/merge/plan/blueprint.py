"""A merge with every choice made: for each tensor of the result, what is read and by which method it is made.

A recipe that treats all tensors alike needs none; configs with slices, modules, gradients and filters become one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Blueprint", "Piece", "Read", "Use"]


@dataclass(frozen=True)
class Read:
    """The tensor `name` of the model labelled `model`."""

    model: str
    name: str


@dataclass(frozen=True)
class Use:
    """One model's part in a tensor: its weight, and the parameters of the method that hold for it alone."""

    read: Read
    weight: float = 1.0
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Piece:
    """How one tensor of the result is made. `parameters` are the method's as a whole (normalize, t, ...), `scale` its
    lambda; the base is read, but is no model of the merge."""

    method: str
    uses: tuple[Use, ...]
    base: Read | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    scale: float = 1.0


@dataclass(frozen=True)
class Blueprint:
    """A whole merge. `models` maps labels to MODEL strings; `base` and `donor` (whose configuration and tokenizer are
    taken) are labels; `dtype` is the arithmetic's, `out_dtype` the result's (safetensors codes); `config` holds what
    changes in the configuration; `tokenizer` is the choice as the config gives it; `notes` are the deviations from the
    tool whose config it is, each said once."""

    models: Mapping[str, str]
    pieces: Mapping[str, Piece]
    donor: str
    base: str | None = None
    dialect: str = "mergekit"
    dtype: str | None = None
    out_dtype: str | None = None
    seed: int = 42
    config: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: Mapping[str, Any] | None = None
    chat_template: str | None = None
    notes: tuple[str, ...] = ()
