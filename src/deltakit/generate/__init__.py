"""Batched decoding: batches by real length, rows that stop leave, results do not depend on the neighbours.

The public names are imported when first used: modes and their names are listed without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deltakit.generate.engine import Engine
    from deltakit.generate.host import Host
    from deltakit.generate.request import Completion, Request

__all__ = ["Completion", "Engine", "Host", "Request"]

_ROOMS = {"Completion": "request", "Engine": "engine", "Host": "host", "Request": "request"}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'deltakit.generate' has no attribute {name!r}")
    return getattr(importlib.import_module(f"deltakit.generate.{_ROOMS[name]}"), name)
