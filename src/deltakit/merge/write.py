"""Writing a merge: a model folder, an adapter, or a delta file (an expression where the method is linear)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deltakit.card import model_card
from deltakit.checkpoint.job import Job, prepare
from deltakit.checkpoint.licence import result_licence
from deltakit.checkpoint.pump import Progress, silent
from deltakit.checkpoint.ranks import ALONE, Ranks
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.checkpoint.staging import check_apart, resolved
from deltakit.checkpoint.together import write_together
from deltakit.checkpoint.write import plan_checkpoint, plan_job, write_job
from deltakit.delta.difference import difference
from deltakit.delta.expression import Delta, Lineage
from deltakit.delta.file.write import plan_delta, write_delta, write_sum
from deltakit.delta.lora import Wanted, adapters_among, lora_job
from deltakit.delta.open import Model, local_paths, parse_expression
from deltakit.errors import NoEffectError, RecipeError
from deltakit.merge.compute.merged import Merged
from deltakit.merge.plan.about import licences_in
from deltakit.merge.plan.forecast import forecast, memory_of, require_memory
from deltakit.merge.plan.native import plan_recipe
from deltakit.merge.plan.planned import Planned
from deltakit.merge.plan.recipe import MergeRecipe
from deltakit.merge.sources.finite import counted

__all__ = ["Beside", "MergeResult", "merge", "plan_output"]

_FOLDERS = ("model", "adapter")


@dataclass(frozen=True)
class Beside:
    """What a caller has to say about a merge: further files in a model's folder, lines for its card and manifest."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    lines: tuple[str, ...] = ()


_NOTHING = Beside()


@dataclass(frozen=True)
class MergeResult:
    """What a merge wrote: kind "model", "adapter", "delta" or "expression", bytes, and what was dropped on the way."""

    path: Path
    kind: str
    nbytes: int
    notes: tuple[str, ...]
    removed: tuple[str, ...] = ()
    fingerprint: str = ""
    resumed: int = 0
    warnings: tuple[str, ...] = ()


def plan_output(recipe: MergeRecipe | Planned, out: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """What `merge` would do, JSON-able: every tensor with its action, bytes, free disk. Reads no weights."""
    plan = recipe if isinstance(recipe, Planned) else plan_recipe(recipe)
    _check_apart(plan, out)
    kind = _kind(plan, out)
    if plan.lora is not None:
        written = plan_job(_adapter(plan, plan.lora, out), overwrite=overwrite)
    elif kind == "model":
        written = plan_checkpoint(
            plan.tensors, out, sidecar=_files(plan), manifest=plan.manifest(), overwrite=overwrite,
            order=plan.order, inputs=plan.checkpoints, allow_nonfinite=plan.allow_nonfinite,
        )  # fmt: skip
    else:
        paths = [p for c in plan.checkpoints for p in c.inputs]
        planned = difference(_parent(plan, out).tensors, plan.tensors, lineage=Lineage(""))
        written = plan_delta(out, planned, overwrite=overwrite, inputs=paths)
        written["bytes"] = written.pop("at_most_bytes") if kind == "delta" else 0
    return {
        **written, "forecast": forecast(plan.loads, written["bytes"]).as_dict(), "kind": kind, "method": plan.method,
        "tensors": plan.actions(), "notes": list(plan.notes), "warnings": list(plan.warnings),
        "removed_from_config": list(plan.removed),
    }  # fmt: skip


def merge(
    recipe: MergeRecipe | Planned,
    out: Path,
    *,
    overwrite: bool = False,
    threads: int = 0,
    progress: Progress = silent,
    crew: Ranks = ALONE,
    beside: Beside = _NOTHING,
) -> MergeResult:
    """Write the merge to `out`: a folder, or a delta file if it ends in .delta. A killed run, run again, resumes.
    `beside` goes into a model's folder, card and manifest.

    Several processes (`crew`) that call this alike write one folder together. Raises NoEffectError where the result
    would equal the base, and the errors of planning and writing.
    """
    plan = recipe if isinstance(recipe, Planned) else plan_recipe(recipe)
    _check_apart(plan, out)
    kind = _kind(plan, out)
    if kind not in _FOLDERS and crew.world > 1:
        raise RecipeError("several processes write a folder only", remedy="write a delta file with one process")
    require_memory(memory_of(plan.loads, threads))
    with counted(plan.checkpoints, plan.allow_nonfinite):
        plan.measure(progress)
        if same := plan.equals():
            raise NoEffectError(
                f"the merge has no effect: it equals {same}",
                remedy="check weights and lambda, and that the models differ from the base",
            )
        if kind in _FOLDERS:
            return _write_folder(plan, out, overwrite, threads, progress, crew, beside)
        if kind == "expression" and plan.merged is not None:
            return _write_sum(plan, plan.merged, out, overwrite)
        return _write_delta(plan, _parent(plan, out), out, overwrite, threads, progress)


def _check_apart(plan: Planned, out: Path) -> None:
    """InputError where the output is, holds or lies in anything that the recipe names."""
    check_apart(resolved(out), [p.resolve() for n in plan.named for p in local_paths(n)])


def _kind(plan: Planned, out: Path) -> str:
    """What the output will be."""
    if plan.lora is not None:
        return "adapter"
    if Path(out).suffix != ".delta":
        return "model"
    _parent(plan, out)
    merged = plan.merged
    if merged is None:
        return "delta"
    plain = all(not parse_expression(m.source)[1] for m in merged.inputs.members)
    return (
        "expression" if merged.coefficients is not None and plain and not plan.notes and not merged.dtype else "delta"
    )


def _parent(plan: Planned, out: Path) -> Model:
    """What a delta file stands over; RecipeError where nobody could apply one."""
    if plan.parent is None:
        raise RecipeError(
            f"{out}: a delta needs a base, a model on disk, and the recipe names none",
            remedy="name a base, or write a folder",
        )
    return plan.parent


def _manifest(plan: Planned, beside: Beside) -> dict[str, Any]:
    """The manifest, with what the caller has to say among its notes."""
    made = plan.manifest()
    return {**made, "notes": [*made.get("notes", ()), *beside.lines]} if beside.lines else made


def _files(plan: Planned, beside: Beside = _NOTHING) -> Sidecar:
    """The files beside the weights, with a model card."""
    made = _manifest(plan, beside)
    licence = result_licence(licences_in(made["inputs"]))
    card = model_card(made, title=f"A merge by {plan.method}", relation="merge", license=licence)
    return plan.sidecar.with_files({**beside.files, "README.md": card.encode()})


def _adapter(plan: Planned, wanted: Wanted, out: Path) -> Job:
    """The folder of an adapter over the named base."""
    if plan.merged is None:
        raise RecipeError("an adapter needs a base, and the recipe names none", remedy="name a base")
    if Path(out).suffix == ".delta":
        raise RecipeError(f"{out}: an adapter is a folder, no delta file", remedy="name a folder, or leave lora out")
    inputs = plan.merged.inputs
    return lora_job(
        plan.merged.delta, plan.merged.base, out, wanted, adapters=adapters_among([m.source for m in inputs.members]),
        base_name=inputs.base_source, manifest=plan.manifest(), card=_files(plan).files["README.md"],
        inputs=plan.checkpoints, allow_nonfinite=plan.allow_nonfinite,
    )  # fmt: skip


def _write_folder(
    plan: Planned, out: Path, overwrite: bool, threads: int, progress: Progress, crew: Ranks, beside: Beside
) -> MergeResult:
    if plan.lora is not None:
        job = _adapter(plan, plan.lora, out)
    else:
        job = prepare(
            plan.tensors, out, _files(plan, beside), _manifest(plan, beside), order=plan.order,
            inputs=plan.checkpoints, allow_nonfinite=plan.allow_nonfinite,
        )  # fmt: skip
    if crew.world > 1:
        written = write_together(job, crew, overwrite=overwrite, threads=threads, progress=progress)
    else:
        written = write_job(job, overwrite=overwrite, threads=threads, progress=progress)
    return MergeResult(
        written.path, _kind(plan, out), written.nbytes, plan.notes, plan.removed, written.fingerprint, written.resumed,
        plan.warnings,
    )  # fmt: skip


def _write_sum(plan: Planned, merged: Merged, out: Path, overwrite: bool) -> MergeResult:
    """Kilobytes: the coefficients, and where the models lie from here."""
    parts = [
        {"coef": c, "of": _beside(m.source, out), "tuned": m.delta.lineage.tuned}
        for c, m in zip(merged.coefficients or (), merged.inputs.members, strict=True)
    ]
    lineage = Lineage(base=merged.inputs.fingerprint, note=_note(plan))
    written = write_sum(out, parts, lineage, overwrite=overwrite)
    return MergeResult(written.path, "expression", written.nbytes, plan.notes, warnings=plan.warnings)


def _write_delta(
    plan: Planned, parent: Model, out: Path, overwrite: bool, threads: int, progress: Progress
) -> MergeResult:
    """The exact difference between the merged model and its base, as it lies on disk: a cast or an alignment of
    vocabularies on the way is part of the difference, so that the delta can be applied."""
    delta: Delta = replace(difference(parent.tensors, plan.tensors, note=_note(plan)), sidecar=plan.sidecar)
    written = write_delta(
        out, delta, plan=plan.manifest(), base=parent.sidecar, overwrite=overwrite,
        inputs=plan.checkpoints, threads=threads, progress=progress,
    )  # fmt: skip
    return MergeResult(
        written.path, "delta", written.nbytes, plan.notes, plan.removed, "", written.resumed, plan.warnings
    )


def _note(plan: Planned) -> Mapping[str, Any]:
    return {"merge": plan.manifest().get("recipe", {})}


def _beside(source: str, out: Path) -> str:
    """A local path as seen from the output's folder; a hub id as it is."""
    return (
        Path(os.path.relpath(Path(source).resolve(), Path(out).resolve().parent)).as_posix()
        if Path(source).exists()
        else source
    )
