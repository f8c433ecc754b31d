"""The strict parser of `*.safetensors.index.json`: which shard holds which tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deltakit.checkpoint.confine import confined
from deltakit.checkpoint.header import Header
from deltakit.checkpoint.strict_json import parse_json
from deltakit.errors import CheckpointError

__all__ = ["Index", "check_shards", "disagreements", "read_index"]

MAX_INDEX = 100_000_000  # bytes


@dataclass(frozen=True)
class Index:
    """Tensor name to shard file name, both checked; `total_size` as the file says, or None."""

    weight_map: Mapping[str, str]
    total_size: int | None

    @property
    def files(self) -> tuple[str, ...]:
        """Sorted shard names, each once."""
        return tuple(sorted({*self.weight_map.values()}))


def read_index(path: Path) -> Index:
    """Parse and confine: UnsafeError for a shard name that leaves the folder, CheckpointError for the rest."""
    if not path.is_file() or path.stat().st_size > MAX_INDEX:
        raise CheckpointError(f"{path}: not a file of at most {MAX_INDEX} bytes")
    parsed = parse_json(path.read_bytes(), str(path))
    weights = parsed.get("weight_map") if isinstance(parsed, dict) else None
    if not isinstance(weights, dict) or not weights or not all(isinstance(v, str) for v in weights.values()):
        raise CheckpointError(f"{path}: expected a weight_map of tensor names to file names")
    for name in sorted({*weights.values()}):
        confined(path.parent, name)
    return Index(weights, _total(parsed.get("metadata")))


def check_shards(path: Path, index: Index) -> None:
    """CheckpointError that lists every shard of the index at `path` that is missing."""
    missing = [name for name in index.files if not confined(path.parent, name).is_file()]
    if missing:
        details = [f"{name} ({_holds(index.weight_map, name)})" for name in missing]
        problem = f"{path}: {len(missing)} of {len(index.files)} shards are missing"
        raise CheckpointError(problem, details=details, remedy="run the download again")


def disagreements(index: Index, headers: Mapping[str, Header]) -> list[str]:
    """Every tensor that the index and the shards' own headers do not place alike."""
    homes: dict[str, list[str]] = {}
    for file in sorted(headers):
        for name in headers[file].tensors:
            homes.setdefault(name, []).append(file)
    problems = []
    for name in sorted(homes.keys() | index.weight_map.keys()):
        home, said = homes.get(name, []), index.weight_map.get(name)
        if len(home) > 1:
            problems.append(f"tensor {name!r} is in {len(home)} shards: {', '.join(home)}")
        elif not home:
            problems.append(f"tensor {name!r} is missing: the index says {said}")
        elif said is None:
            problems.append(f"tensor {name!r} is in {home[0]} but not in the index")
        elif home[0] != said:
            problems.append(f"tensor {name!r} is in {home[0]}, the index says {said}")
    return problems


def _total(metadata: object) -> int | None:
    found = metadata.get("total_size") if isinstance(metadata, dict) else None
    # some writers stored it as a float
    return int(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _holds(weights: Mapping[str, str], file: str) -> str:
    return f"{sum(1 for home in weights.values() if home == file)} tensors"
