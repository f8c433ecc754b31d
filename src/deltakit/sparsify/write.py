"""Sparsify: a delta of any kind into a delta file that holds the kept elements alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from deltakit.checkpoint.open import open_checkpoint
from deltakit.checkpoint.pump import Progress, silent
from deltakit.checkpoint.staging import check_apart
from deltakit.delta.expression import Delta
from deltakit.delta.file.write import WrittenDelta, plan_delta, write_delta
from deltakit.delta.open import local_paths, open_as_delta
from deltakit.errors import NoEffectError
from deltakit.sparsify.pipeline import parse_pipeline
from deltakit.sparsify.sparse_delta import prepare, sparsify
from deltakit.tensors import row_blocks

__all__ = ["plan_sparsified", "sparsify_to"]


def plan_sparsified(
    base: str, delta: str, each: str, out: Path, *, seed: int = 42, name: str = "", overwrite: bool = False
) -> dict[str, Any]:
    """What `sparsify_to` would do, JSON-able; reads headers and fingerprints only."""
    opened = open_checkpoint(base)
    found = open_as_delta(delta, opened)
    made = sparsify(found, parse_pipeline(each), seed=seed, name=name)
    plan = plan_delta(out, made, overwrite=overwrite, inputs=[*opened.inputs, *local_paths(delta)])
    return {**plan, "each": made.lineage.note["sparsify"]["each"], "seed": seed, "model": name or found.lineage.key}


def sparsify_to(
    base: str,
    delta: str,
    each: str,
    out: Path,
    *,
    seed: int = 42,
    name: str = "",
    overwrite: bool = False,
    threads: int = 0,
    progress: Progress = silent,
) -> WrittenDelta:
    """Write the delta, its float tensors through the pipeline `each`, to the file `out`.

    `delta` is a delta file, a checkpoint or an adapter over `base`; seed and name key the masks. Errors: RecipeError
    (pipeline, name), MismatchError (wrong base), NoEffectError (nothing to drop), those of `write_delta`.
    """
    opened = open_checkpoint(base)
    check_apart(Path(out).resolve(), [p.resolve() for p in local_paths(delta)])
    found = open_as_delta(delta, opened)
    if not _changes(found):
        raise NoEffectError(f"{delta} changes nothing of {base}", remedy="check which delta you named")
    made, flow = prepare(found, parse_pipeline(each), seed=seed, name=name)
    flow.measure(progress)
    plan = {"action": "sparsify", "of": found.lineage.tuned}
    return write_delta(
        out, made, plan=plan, base=opened.sidecar, overwrite=overwrite, inputs=(opened,), threads=threads,
        progress=progress,
    )  # fmt: skip


def _changes(delta: Delta) -> bool:
    """Whether a delta is anything at all; reads up to the first nonzero element."""
    if any(entry.shared < entry.spec.rows for entry in delta.entries.values()):
        return True
    return any(
        np.any(delta.rows(name, lo, hi))
        for name, spec in delta.specs.items()
        if spec.is_float
        for lo, hi in row_blocks(spec)
    )
