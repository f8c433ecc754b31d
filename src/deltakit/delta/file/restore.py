"""Apply: the fine-tune back from its base and a delta, as a Hugging Face folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltakit.checkpoint.dequantised import open_floats
from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import Checkpoint
from deltakit.checkpoint.pump import Progress, silent
from deltakit.checkpoint.staging import check_apart
from deltakit.checkpoint.write import Written, plan_checkpoint, write_checkpoint
from deltakit.delta.expression import Lineage
from deltakit.delta.open import Model, applied, local_paths, open_as_delta
from deltakit.errors import NoEffectError
from deltakit.manifest import describe_input, make_manifest
from deltakit.tensors import same

__all__ = ["Restored", "plan_restore", "restore", "restored_model"]


@dataclass(frozen=True)
class Restored:
    """What was written. `exact` is True where the fingerprint equals that of the model the delta was extracted from,
    False where it does not (a lossy delta), None where the delta does not say."""

    written: Written
    exact: bool | None
    removed: tuple[str, ...]


def restored_model(base: Checkpoint, delta: str) -> Model:
    """base + delta, lazily."""
    return applied(base, open_as_delta(delta, base), f"{base.source} + {delta}")


def plan_restore(base: str, delta: str, out: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """What `restore` would do; no weights are read but for fingerprints."""
    opened = open_floats(base)
    check_apart(Path(out).resolve(), [p.resolve() for p in local_paths(delta)])
    model = restored_model(opened, delta)
    sidecar, removed = model.sidecar.cleaned()
    plan = plan_checkpoint(
        model.tensors, out, sidecar=sidecar, manifest=_manifest(opened, delta, model), overwrite=overwrite,
        inputs=(opened,),
    )  # fmt: skip
    return {**plan, "removed_from_config": list(removed)}


def restore(
    base: str,
    delta: str,
    out: Path,
    *,
    overwrite: bool = False,
    max_shard_bytes: int = 5_000_000_000,
    allow_nonfinite: bool = False,
    threads: int = 0,
    progress: Progress = silent,
) -> Restored:
    """Write base + delta to the folder `out`. Errors: MismatchError (wrong base), NoEffectError, the writer's."""
    opened = open_floats(base)
    check_apart(Path(out).resolve(), [p.resolve() for p in local_paths(delta)])
    model = restored_model(opened, delta)
    sidecar, removed = model.sidecar.cleaned()
    if same(model.tensors, opened):
        raise NoEffectError(f"{delta} changes nothing of {base}", remedy="check which delta you named")
    written = write_checkpoint(
        model.tensors, out, sidecar=sidecar, manifest=_manifest(opened, delta, model), overwrite=overwrite,
        max_shard_bytes=max_shard_bytes, allow_nonfinite=allow_nonfinite, inputs=(opened,), threads=threads,
        progress=progress,
    )  # fmt: skip
    lineage = model.delta.lineage if model.delta else Lineage()
    # the fingerprint of an adapter is that of its factors: nothing to compare a model with
    known = lineage.tuned and not Path(delta).is_dir() and "adapter" not in lineage.note
    exact = written.fingerprint == lineage.tuned if known else None
    return Restored(written, exact, removed)


def _manifest(base: Checkpoint, delta: str, model: Model) -> dict[str, Any]:
    lineage = model.delta.lineage if model.delta else Lineage()
    inputs = [
        describe_input(base.source, fingerprint(base), role="base"),
        describe_input(delta, lineage.tuned, role="delta", note=dict(lineage.note)),
    ]
    return make_manifest("apply", inputs=inputs)
