"""What a path holds: a checkpoint, a delta file or an adapter, from headers alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import Checkpoint, open_checkpoint
from deltakit.delta.adapter import Adapter, is_adapter, open_adapter
from deltakit.delta.file.container import Archive, is_delta, open_archive
from deltakit.delta.measure.statistics import bytes_by_kind
from deltakit.tensors import TensorSpec

__all__ = ["inspect_path"]


def inspect_path(where: str) -> dict[str, Any]:
    """A JSON-able description; `kind` is checkpoint, delta, expression or adapter."""
    path = Path(where)
    if is_delta(path):
        return _archive(open_archive(path))
    if path.is_dir() and is_adapter(path):
        return _adapter(open_adapter(path))
    return _checkpoint(open_checkpoint(where))


def _checkpoint(found: Checkpoint) -> dict[str, Any]:
    config = found.sidecar.config or {}
    return {
        "kind": "checkpoint",
        "path": found.source,
        "architecture": (config.get("architectures") or [""])[0],
        "fingerprint": fingerprint(found),
        "files": sorted(found.sidecar.files),
        "notes": list(found.notes),
        **_totals(found.specs),
    }


def _archive(found: Archive) -> dict[str, Any]:
    from deltakit.delta.file.container import open_delta

    index = found.index
    about = {"path": str(found.path), "lineage": index.get("lineage", {}), "file_bytes": len(found.data)}
    if "sum" in index:
        return {"kind": "expression", **about, "sum": index["sum"]}
    delta = open_delta(found.path)
    terms = {
        n: [{"kind": p[1], "coef": p[0], "bytes": p[3]} for p in item.get("p", ())]
        for n, item in sorted(index["tensors"].items())
    }
    totals = _totals(delta.specs)
    return {
        "kind": "delta",
        **about,
        "missing": list(delta.missing),
        "files": sorted(delta.sidecar.files),
        "payload_bytes": delta.nbytes,
        "bytes_by_kind": bytes_by_kind(delta),
        "ratio": totals["bytes"] / len(found.data),
        "bits_per_parameter": 8 * len(found.data) / max(1, totals["parameters"]),
        "terms": terms,
        **totals,
    }


def _adapter(found: Adapter) -> dict[str, Any]:
    return {
        "kind": "adapter",
        "path": str(found.path),
        "rank": found.config["r"],
        "alpha": found.config["lora_alpha"],
        "base_model": found.config.get("base_model_name_or_path"),
        "modules": found.modules,
        "fingerprint": fingerprint(found.weights),
        **_totals(found.weights.specs),
    }


def _totals(specs: Mapping[str, TensorSpec]) -> dict[str, Any]:
    dtypes: Counter[str] = Counter()
    for spec in specs.values():
        dtypes[spec.dtype] += spec.numel
    return {
        "tensors": {n: {"shape": list(s.shape), "dtype": s.dtype} for n, s in specs.items()},
        "parameters": sum(s.numel for s in specs.values()),
        "bytes": sum(s.nbytes for s in specs.values()),
        "dtypes": {k: dtypes[k] for k in sorted(dtypes)},
    }
