"""deltakit: the difference between a fine-tune and its base is an expression of terms and a file of its own.

The public names, each imported from its room when it is first used:

    import deltakit as dk
    model = dk.open_model("models/base + 0.6*math.delta + 0.4*chat.delta")   # lazy: nothing is computed yet
    dk.write_checkpoint(model.tensors, Path("merged"), sidecar=model.sidecar, manifest=dk.make_manifest("merge"))
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "Applied": "deltakit.delta.applied",
    "Checkpoint": "deltakit.checkpoint.open",
    "Delta": "deltakit.delta.expression",
    "DeltakitError": "deltakit.errors",
    "Model": "deltakit.delta.open",
    "Sidecar": "deltakit.checkpoint.sidecar",
    "TensorMap": "deltakit.tensors",
    "TensorSpec": "deltakit.tensors",
    "add": "deltakit.delta.expression",
    "delta_statistics": "deltakit.delta.measure.statistics",
    "difference": "deltakit.delta.difference",
    "extract": "deltakit.delta.file.extract",
    "fingerprint": "deltakit.checkpoint.fingerprint",
    "inspect_path": "deltakit.delta.file.inspection",
    "load_model": "deltakit.runtime.load",
    "make_manifest": "deltakit.manifest",
    "open_as_delta": "deltakit.delta.open",
    "open_checkpoint": "deltakit.checkpoint.open",
    "open_delta": "deltakit.delta.file.container",
    "open_model": "deltakit.delta.open",
    "read": "deltakit.tensors",
    "restore": "deltakit.delta.file.restore",
    "scale": "deltakit.delta.expression",
    "verify_checkpoint": "deltakit.checkpoint.verify",
    "verify_delta": "deltakit.delta.file.verify",
    "write_checkpoint": "deltakit.checkpoint.write",
    "write_delta": "deltakit.delta.file.write",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'deltakit' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
