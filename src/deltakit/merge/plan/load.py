"""Tensors that one method makes of several models: what reading and holding them costs is told from this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deltakit.merge.method import Method
from deltakit.tensors import TensorSpec

__all__ = ["Load"]


@dataclass(frozen=True)
class Load:
    """`models` are read for each tensor, the base among them; `linear`: the result is a mere sum, in one pass."""

    name: str
    dialect: str
    method: Method
    models: int
    specs: Sequence[TensorSpec]
    linear: bool = False
