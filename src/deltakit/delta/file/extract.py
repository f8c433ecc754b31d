"""Extract: the delta between a base and a fine-tune, exact by default, as one file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deltakit.checkpoint.open import Checkpoint, open_checkpoint
from deltakit.checkpoint.pump import Progress, silent
from deltakit.delta.adapter import adapter_delta, is_adapter, open_adapter
from deltakit.delta.difference import difference
from deltakit.delta.expression import Delta
from deltakit.delta.file.write import WrittenDelta, plan_delta, write_delta
from deltakit.errors import NoEffectError
from deltakit.tensors import same

__all__ = ["extract", "extraction", "plan_extract"]


def extraction(base: Checkpoint, tuned: str, name: str = "") -> tuple[Delta, tuple[Checkpoint, ...]]:
    """The delta of a fine-tune (a checkpoint, or a PEFT folder) from its base, and the inputs it reads."""
    path = Path(tuned)
    if path.is_dir() and is_adapter(path):
        adapter = open_adapter(path)
        return adapter_delta(adapter, base, name=name), (base, adapter.weights)
    checkpoint = open_checkpoint(tuned)
    return difference(base, checkpoint, name=name, note=_notes(checkpoint)), (base, checkpoint)


def plan_extract(base: str, tuned: str, out: Path, *, name: str = "", overwrite: bool = False) -> dict[str, Any]:
    """What `extract` would do; reads headers and fingerprints only."""
    delta, inputs = extraction(open_checkpoint(base), tuned, name)
    plan = plan_delta(out, delta, overwrite=overwrite, inputs=[p for c in inputs for p in c.inputs])
    return {**plan, "base": delta.lineage.base, "tuned": delta.lineage.tuned}


def extract(
    base: str,
    tuned: str,
    out: Path,
    *,
    name: str = "",
    overwrite: bool = False,
    threads: int = 0,
    progress: Progress = silent,
) -> WrittenDelta:
    """Write tuned - base to the file `out`. Base and delta restore the tuned model bit for bit, whatever the pair.

    `name` keys random masks taken of this delta later (default: the tuned model's fingerprint). Errors: MismatchError
    (names, shapes), NoEffectError (the two are equal), those of `write_delta`.
    """
    opened = open_checkpoint(base)
    delta, inputs = extraction(opened, tuned, name)
    if same(opened, inputs[-1]):
        raise NoEffectError(f"{tuned} equals {base}: there is no delta", remedy="name the fine-tuned model")
    return write_delta(
        out, delta, plan={"action": "extract"}, base=opened.sidecar, overwrite=overwrite, inputs=inputs,
        threads=threads, progress=progress,
    )  # fmt: skip


def _notes(tuned: Checkpoint) -> Mapping[str, Any]:
    """What the training left about the rank of its delta, so that compression can use it."""
    import json

    path = tuned.path / "deltakit_training.json"
    if not path.is_file():
        return {}
    found = json.loads(path.read_text())
    return {"training": {k: found[k] for k in ("method", "rank") if found.get(k) is not None}}
