"""Everything about a checkpoint to be written that is settled before its first byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltakit import manifest as manifests
from deltakit.checkpoint.layout import INDEX_NAME, Layout, plan_layout
from deltakit.checkpoint.open import Checkpoint
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.checkpoint.staging import check_apart, resolved, staging_root
from deltakit.errors import InputError, MismatchError
from deltakit.tensors import TensorMap

__all__ = ["SHARD_BYTES", "Job", "prepare"]

SHARD_BYTES = 5_000_000_000  # as the hub likes it
_SLACK = 1 << 20  # bytes for manifest, journal and the file system's own


@dataclass(frozen=True)
class Job:
    """All that is settled before the first byte is written."""

    source: TensorMap
    out: Path
    layout: Layout
    sidecar: Sidecar
    manifest: Mapping[str, Any]
    order: tuple[str, ...]
    inputs: tuple[Checkpoint, ...]
    allow_nonfinite: bool

    @property
    def plan(self) -> dict[str, Any]:
        """What tells this run's bytes from any other's; names the staging folder."""
        return {
            "headers": {file: manifests.digest(head) for file, head in self.layout.headers.items()},
            "sidecar": {name: manifests.digest(raw) for name, raw in self.sidecar.files.items()},
            "manifest": self.manifest,
            "inputs": [c.identity for c in self.inputs],
            "allow_nonfinite": self.allow_nonfinite,
        }

    @property
    def paths(self) -> list[Path]:
        """What the output may not touch."""
        return [path.resolve() for checkpoint in self.inputs for path in checkpoint.inputs]

    @property
    def needed(self) -> int:
        """Bytes still to be written; what an interrupted run of the same plan holds is counted as there."""
        have = staging_root(self.out, self.plan) / "files"
        held = sum(p.stat().st_blocks * 512 for p in have.iterdir()) if have.is_dir() else 0
        return max(0, self.layout.nbytes - held) + sum(map(len, self.sidecar.files.values())) + _SLACK


def prepare(
    source: TensorMap,
    out: Path,
    sidecar: Sidecar,
    manifest: Mapping[str, Any],
    max_shard_bytes: int = SHARD_BYTES,
    order: Sequence[str] | None = None,
    inputs: Sequence[Checkpoint] = (),
    allow_nonfinite: bool = False,
) -> Job:
    """Settle and check everything that needs no weights. InputError, MismatchError, RecipeError."""
    layout = plan_layout(source.specs, max_shard_bytes)
    reserved = {*layout.sizes, INDEX_NAME, manifests.MANIFEST_NAME} & sidecar.files.keys()
    if reserved:
        raise InputError("the sidecar holds files that the writer makes itself", details=sorted(reserved))
    own = (source,) if isinstance(source, Checkpoint) and source not in inputs else ()
    pulls = tuple(order if order is not None else getattr(source, "order", sorted(source.specs)))
    if sorted(pulls) != sorted(source.specs):
        raise MismatchError("the order of pulling does not name every tensor exactly once")
    job = Job(source, resolved(out), layout, sidecar, manifest, pulls, (*own, *inputs), allow_nonfinite)
    check_apart(job.out, job.paths)
    if job.out.exists() and not job.out.is_dir():
        raise InputError(f"output {job.out} is a file", remedy="a checkpoint is a folder; choose another output")
    return job
