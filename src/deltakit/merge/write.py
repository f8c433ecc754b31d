"""Writing a merge: a model folder, or a delta file (an expression where the method is linear)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deltakit.card import model_card
from deltakit.checkpoint.pump import Progress, silent
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.checkpoint.staging import check_apart
from deltakit.checkpoint.write import plan_checkpoint, write_checkpoint
from deltakit.delta.difference import difference
from deltakit.delta.expression import Delta, Lineage
from deltakit.delta.open import local_paths, parse_expression
from deltakit.delta.write import plan_delta, write_delta, write_sum
from deltakit.errors import NoEffectError, RecipeError
from deltakit.merge.merged import changes
from deltakit.merge.plan import Plan, plan_merge
from deltakit.merge.recipe import MergeRecipe

__all__ = ["MergeResult", "merge", "plan_output"]


@dataclass(frozen=True)
class MergeResult:
    """What a merge wrote: kind "model", "delta" or "expression", bytes on disk, and what was dropped on the way."""

    path: Path
    kind: str
    nbytes: int
    notes: tuple[str, ...]
    removed: tuple[str, ...] = ()
    fingerprint: str = ""
    resumed: int = 0


def plan_output(recipe: MergeRecipe, out: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """What `merge` would do, JSON-able: every tensor with its action, bytes, free disk. Reads no weights."""
    plan = plan_merge(recipe)
    _check_apart(recipe, out)
    kind = _kind(plan, out)
    if kind == "model":
        written = plan_checkpoint(
            plan.tensors, out, sidecar=_files(plan), manifest=plan.manifest(), overwrite=overwrite,
            order=plan.order, inputs=plan.inputs.checkpoints,
        )  # fmt: skip
    else:
        paths = [p for c in plan.inputs.checkpoints for p in c.inputs]
        written = plan_delta(out, plan.merged.delta, overwrite=overwrite, inputs=paths)
        written["bytes"] = written.pop("at_most_bytes") if kind == "delta" else 0
    return {
        **written, "kind": kind, "method": plan.recipe.method, "tensors": plan.actions(),
        "notes": list(plan.layout.notes), "removed_from_config": list(plan.removed),
    }  # fmt: skip


def merge(
    recipe: MergeRecipe, out: Path, *, overwrite: bool = False, threads: int = 0, progress: Progress = silent
) -> MergeResult:
    """Write the merge to `out`: a folder, or a delta file if it ends in .delta. A killed run, run again, resumes.

    Raises NoEffectError where the result would equal the base, and the errors of planning and writing.
    """
    plan = plan_merge(recipe)
    _check_apart(recipe, out)
    kind = _kind(plan, out)
    plan.measure(progress)
    if not changes(plan.merged):
        raise NoEffectError(
            f"the merge has no effect: it equals {plan.inputs.base_source}",
            remedy="check weights and lambda, and that the models differ from the base",
        )
    if kind == "model":
        return _write_model(plan, out, overwrite, threads, progress)
    return (
        _write_sum(plan, out, overwrite)
        if kind == "expression"
        else _write_delta(plan, out, overwrite, threads, progress)
    )


def _check_apart(recipe: MergeRecipe, out: Path) -> None:
    """InputError where the output is, holds or lies in anything that the recipe names."""
    names = [*(item.model for item in recipe.models), *([recipe.base] if recipe.base else [])]
    check_apart(Path(out).resolve(), [p.resolve() for n in names for p in local_paths(n)])


def _kind(plan: Plan, out: Path) -> str:
    """What the output will be."""
    if Path(out).suffix != ".delta":
        return "model"
    if plan.recipe.base is None:
        raise RecipeError(
            f"{out}: a delta needs a base, and the recipe names none", remedy="name a base, or write a folder"
        )
    plain = all(not parse_expression(m.source)[1] for m in plan.inputs.members)
    stored = plan.merged.coefficients is not None and plain and not plan.layout.notes and plan.recipe.dtype is None
    return "expression" if stored else "delta"


def _files(plan: Plan) -> Sidecar:
    """The files beside the weights, with a model card."""
    card = model_card(plan.manifest(), title=f"A merge by {plan.recipe.method}", relation="merge")
    return plan.sidecar.with_files({"README.md": card.encode()})


def _write_model(plan: Plan, out: Path, overwrite: bool, threads: int, progress: Progress) -> MergeResult:
    written = write_checkpoint(
        plan.tensors, out, sidecar=_files(plan), manifest=plan.manifest(), overwrite=overwrite,
        order=plan.order, threads=threads, inputs=plan.inputs.checkpoints, progress=progress,
    )  # fmt: skip
    return MergeResult(
        written.path, "model", written.nbytes, plan.layout.notes, plan.removed, written.fingerprint, written.resumed
    )


def _write_sum(plan: Plan, out: Path, overwrite: bool) -> MergeResult:
    """Kilobytes: the coefficients, and where the models lie from here."""
    parts = [
        {"coef": c, "of": _beside(m.source, out), "tuned": m.delta.lineage.tuned}
        for c, m in zip(plan.merged.coefficients or (), plan.inputs.members, strict=True)
    ]
    lineage = Lineage(base=plan.inputs.fingerprint, note=_note(plan))
    written = write_sum(out, parts, lineage, overwrite=overwrite)
    return MergeResult(written.path, "expression", written.nbytes, plan.layout.notes)


def _write_delta(plan: Plan, out: Path, overwrite: bool, threads: int, progress: Progress) -> MergeResult:
    """The exact difference between the merged model and its base."""
    delta: Delta = replace(difference(plan.inputs.base, plan.tensors, note=_note(plan)), sidecar=plan.sidecar)
    written = write_delta(
        out, delta, plan=plan.manifest(), base=plan.inputs.sidecar, overwrite=overwrite,
        inputs=plan.inputs.checkpoints, threads=threads, progress=progress,
    )  # fmt: skip
    return MergeResult(written.path, "delta", written.nbytes, plan.layout.notes, plan.removed, "", written.resumed)


def _note(plan: Plan) -> Mapping[str, Any]:
    return {"merge": plan.manifest().get("recipe", {})}


def _beside(source: str, out: Path) -> str:
    """A local path as seen from the output's folder; a hub id as it is."""
    return (
        Path(os.path.relpath(Path(source).resolve(), Path(out).resolve().parent)).as_posix()
        if Path(source).exists()
        else source
    )
