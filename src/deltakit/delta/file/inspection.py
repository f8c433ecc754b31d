"""What a path holds: a checkpoint, a delta file or an adapter, from headers alone; spectra where they are asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import Checkpoint, open_checkpoint
from deltakit.checkpoint.pump import Progress, silent
from deltakit.delta.adapter import Adapter, is_adapter, open_adapter
from deltakit.delta.expression import Delta, Entries, Entry, Part
from deltakit.delta.file.container import Archive, is_delta, open_archive, open_delta
from deltakit.delta.measure.profile import Profile, profiles
from deltakit.delta.open import open_as_delta
from deltakit.delta.terms import TERMS
from deltakit.delta.terms.base import Term
from deltakit.delta.terms.lowrank import LowRank
from deltakit.delta.terms.raw import Raw
from deltakit.delta.terms.ref import Rest
from deltakit.delta.terms.tied import Tied
from deltakit.errors import RecipeError
from deltakit.tensors import TensorSpec

__all__ = ["inspect_path", "inspect_spectra", "lossy_totals"]


def inspect_path(where: str) -> dict[str, Any]:
    """A JSON-able description; `kind` is checkpoint, delta, expression or adapter. Reads no weights, and of a delta
    file nothing but its index."""
    path = Path(where)
    if is_delta(path):
        return _archive(open_archive(path))
    if path.is_dir() and is_adapter(path):
        return _adapter(open_adapter(path))
    return _checkpoint(open_checkpoint(where))


def inspect_spectra(
    where: str, count: int, *, match: str = "*", base: str = "", progress: Progress = silent
) -> list[Profile]:
    """The spectra of the `count` largest matrices of what a path holds whose names match a pattern: of the changes in a
    delta or adapter, of the weights themselves in a checkpoint. RecipeError where that takes a base."""
    return profiles(_numbers(where, base), count, match, progress)


def _numbers(where: str, base: str) -> Delta:
    """What the path holds, as a delta."""
    path = Path(where)
    adapted = path.is_dir() and is_adapter(path)
    if base:
        return open_as_delta(where, open_checkpoint(base))
    if is_delta(path):
        if "sum" in open_archive(path).index:
            raise RecipeError(f"{where} is an expression over other files", remedy="name the base with --base")
        return open_delta(path)
    return _factors(open_adapter(path)) if adapted else _weights(open_checkpoint(where))


def _weights(found: Checkpoint) -> Delta:
    """A checkpoint as the delta from nothing."""
    return Delta(Entries(found.specs, lambda n: _alone(Rest(found.specs[n], n, found, 0)), keep=False))


def _factors(found: Adapter) -> Delta:
    """An adapter's products, under the names of its modules."""
    sides = {module: found.factors(module) for module in found.modules}
    specs = {module: TensorSpec((up.shape[0], down.shape[1]), "F32") for module, (up, down) in sides.items()}

    def make(module: str) -> Entry:
        up, down = sides[module]
        return _alone(LowRank.of(specs[module], up * np.float32(found.scaling(module)), down.T, "F32"))

    return Delta(Entries(specs, make))


def _alone(term: Term) -> Entry:
    return Entry(term.spec, term.spec.rows, (Part(1.0, term),))


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
    """From the index alone. `index_bytes`, `payload_bytes` and `files_bytes` add up to the file."""
    index = found.index
    about = {"path": str(found.path), "lineage": index.get("lineage", {}), "file_bytes": len(found.data)}
    if "sum" in index:
        return {"kind": "expression", **about, "sum": index["sum"]}
    totals, items = _totals(found.specs), dict(sorted(index["tensors"].items()))
    payload = {n: stop - start for n, (start, stop) in found.places.items()}
    files = sum(stop - start for start, stop in found.files.values())
    return {
        "kind": "delta",
        **about,
        "missing": list(index.get("missing", ())),
        "files": sorted(found.files),
        "payload_bytes": sum(payload.values()),
        "files_bytes": files,
        "index_bytes": len(found.data) - sum(payload.values()) - files,
        "bytes_by_kind": _by_kind(items),
        "ratio": totals["bytes"] / len(found.data),
        "bits_per_parameter": 8 * len(found.data) / max(1, totals["parameters"]),
        "coded": lossy_totals(found.specs, items),
        "terms": {n: _terms(item) for n, item in items.items()},
        "tensor_bits": {n: 8 * payload[n] / max(1, found.specs[n].numel) for n in items},
        **totals,
    }


def _terms(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a tensor is stored as; added rows last."""
    terms = [{"kind": p[1], "coef": p[0], "bytes": p[3]} for p in item.get("p", ())]
    added = [{"kind": item["a"][0], "added": True, "bytes": item["a"][2]}] if "a" in item else []
    return [*terms, *added]


def _by_kind(items: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Payload bytes by kind of term; added rows under "added"."""
    found: Counter[str] = Counter()
    for item in items.values():
        for term in _terms(item):
            found["added" if "added" in term else term["kind"]] += term["bytes"]
    return {kind: found[kind] for kind in sorted(found)}


def lossy_totals(specs: Mapping[str, TensorSpec], items: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The tensors that are not stored bit for bit, of the index items of an archive: matrices, parameters, bytes,
    payload_bytes, ratio, bits_per_parameter; their payload against their bytes in the fine-tune, shared rows alone.
    Empty where there are none."""
    total: Counter[str] = Counter()
    for name, item in items.items():
        kinds = [p[1] for p in item.get("p", ())]
        if kinds and not all(_is_exact(kind) for kind in kinds):
            spec = specs[name].with_rows(item.get("h", specs[name].rows))
            total += Counter(matrices=1, parameters=spec.numel, bytes=spec.nbytes)
            total["payload_bytes"] += sum(p[3] for p in item["p"])
    if not total["matrices"]:
        return {}
    ratio = total["bytes"] / max(1, total["payload_bytes"])
    return {**total, "ratio": ratio, "bits_per_parameter": 8 * total["payload_bytes"] / max(1, total["parameters"])}


def _is_exact(kind: str) -> bool:
    """Whether a kind of term gives back the tuned bits; one that is not known here does not."""
    if kind not in TERMS.targets():
        return False
    made: Any = TERMS.factory(kind)
    return issubclass(made, (Tied, Raw))


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
