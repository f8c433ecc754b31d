"""Healing: a compressed delta whose few scales are distilled from the fine-tune, written as an archive again.

The codes stay as they are; singular values, scales and one-dimensional tensors move. The size stays, but for the bytes
that moved one-dimensional tensors take as exact differences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from deltakit.calibrate.batches import Batches
from deltakit.calibrate.sampling import Sampling, check_runnable
from deltakit.checkpoint.dequantised import open_floats
from deltakit.checkpoint.open import Checkpoint
from deltakit.checkpoint.pump import Progress, silent
from deltakit.delta.expression import Delta, Entry, Part
from deltakit.delta.file.container import open_delta
from deltakit.delta.file.write import write_delta
from deltakit.delta.measure.threads import one_thread
from deltakit.delta.open import Model
from deltakit.delta.terms.ref import Ref
from deltakit.errors import InputError, RecipeError
from deltakit.runtime.load import load_model
from deltakit.tenants import ResidentBase, Tenant
from deltakit.tenants.terms import Factors, Signs
from deltakit.tensors import Mapped, as_bytes, from_float32
from deltakit.train.distil import Distilled, Steps, distil

__all__ = ["Healed", "heal"]

_NAME = "healed"
_HELD = 0.1  # share of the batches that is not trained on


@dataclass(frozen=True)
class Healed:
    """A healed archive: its size, what healing brought, and whether one-dimensional tensors stayed as they were because
    the file would have grown beyond its limit."""

    path: Path
    nbytes: int
    distilled: Distilled
    vectors: bool


def heal(
    base: str, archive: Path, tuned: Model, out: Path, steps: Steps, sampling: Sampling, *, limit: int | None = None,
    device: str = "cpu", overwrite: bool = False, progress: Progress = silent,
) -> Healed:  # fmt: skip
    """Distil `archive` (over `base`) from the fine-tune and write it to `out`, in at most `limit` bytes.

    Base and fine-tune are in memory at once, in float32. On the CPU one thread computes, so that bytes do not depend on
    how many there are. Errors: RecipeError (steps), InputError (text, nothing to heal), NonFiniteError, the writer's.
    """
    if steps.count < 1:
        raise RecipeError(f"{steps.count} steps of healing", remedy="use 1 or more; 200 is usual")
    check_runnable(tuned.sidecar, "healing")
    opened = open_floats(base)
    batches = sampling.batches(tuned.sidecar)
    train, held = _batches(batches, device)
    with one_thread():
        resident = ResidentBase(opened, dtype="float32", device=device, hold="factors")
        tenant = resident.attach(_NAME, f"{base} + {archive}")
        if not dict(tenant.parameters()):
            raise InputError(f"{archive} has no scales to heal", remedy="heal svd_mixed, lowrank and sign archives")
        teacher = load_model(tuned.tensors, tuned.sidecar, "float32", device)
        found = _distilled(resident, teacher, train, held, steps, progress)
    note = {"steps": steps.count, "rate": steps.rate, **sampling.described(batches)}
    return _written(opened, archive, tenant, found, out, note, limit, overwrite)


def _distilled(
    resident: ResidentBase, teacher: Any, train: list[torch.Tensor], held: list[torch.Tensor], steps: Steps,
    progress: Progress,
) -> Distilled:  # fmt: skip
    progress.start("healing", steps.count)
    try:
        return distil(resident, _NAME, teacher, train, held, steps, lambda i, loss: progress.advance(1, f"{loss:.4f}"))
    finally:
        progress.stop()


def _batches(batches: Batches, device: str) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """What is trained on, and every tenth that is not (of a single batch: the same)."""
    ids = [torch.from_numpy(batches[i]).to(device) for i in range(len(batches))]
    apart = max(1, int(len(ids) * _HELD))
    return (ids[:-apart], ids[-apart:]) if len(ids) > apart else (ids, ids)


def _written(
    base: Checkpoint, archive: Path, tenant: Tenant, found: Distilled, out: Path, note: Mapping[str, Any],
    limit: int | None, overwrite: bool,
) -> Healed:  # fmt: skip
    """The archive with what was found; without one-dimensional tensors, then as it was, where it is too large."""
    for vectors, scales in ((True, True), (False, True), (False, False)) if found.kept else ((False, False),):
        delta = _healed(open_delta(archive), base, tenant, note, vectors=vectors, scales=scales)
        plan = {"action": "heal", **note, "of": archive.stat().st_size, "vectors": vectors, "scales": scales}
        made = write_delta(out, delta, plan=plan, base=base.sidecar, overwrite=overwrite, inputs=[base])
        if limit is None or made.nbytes <= limit:
            break
        overwrite = True
    if not scales:
        found = replace(found, after=found.before, kept=False)
    return Healed(out, made.nbytes, found, vectors)


def _healed(
    delta: Delta, base: Checkpoint, tenant: Tenant, note: Mapping[str, Any], *, vectors: bool, scales: bool
) -> Delta:
    """The delta with the tenant's numbers in place of its own."""
    known = {n for n, _ in tenant.parameters()}
    specs = {n: s for n, s in delta.specs.items() if n in known}

    def pull(name: str, lo: int, hi: int) -> memoryview:
        values = tenant.vectors[name].detach().float().cpu().numpy()
        return as_bytes(from_float32(values[lo:hi], specs[name].dtype))

    healed = Mapped(specs, pull)

    def change(name: str, entry: Entry) -> Entry:
        if vectors and name in specs and entry.shared == entry.spec.rows:
            return replace(entry, parts=(Part(1.0, Ref(entry.spec, name, base, healed)),))
        return _rescaled(entry, tenant, name) if scales else entry

    said = {**delta.lineage.note, "healed": dict(note)} if scales else delta.lineage.note
    return replace(delta.bind(base).map(change), lineage=replace(delta.lineage, note=said))


def _rescaled(entry: Entry, tenant: Tenant, name: str) -> Entry:
    """Terms with their healed scales; a term that changes nothing is not among the tenant's."""
    held = {_content(t.term): t for _, t in tenant.terms.get(name, ()) if isinstance(t, Factors | Signs)}
    parts = []
    for part in entry.parts:
        found = held.get(_content(part.term))
        parts.append(part if found is None else replace(part, term=found.stored()))
    return replace(entry, parts=tuple(parts))


def _content(term: Any) -> tuple[str, bytes]:
    """What tells terms apart."""
    fields, payload = term.save()
    return repr(fields), payload
