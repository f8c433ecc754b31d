"""`deltakit sft`: plan, train in OUT.training, publish the output folder."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deltakit.checkpoint import Progress, fingerprint, silent
from deltakit.checkpoint.disk import remove_tree
from deltakit.checkpoint.lock import Lock
from deltakit.checkpoint.staging import check_output
from deltakit.errors import VerificationError
from deltakit.manifest import describe_input, make_manifest, pretty_json
from deltakit.train.curve import draw_losses
from deltakit.train.losses import LossFile
from deltakit.train.plan import Plan, identity, plan_sft
from deltakit.train.publish import publish_adapter, publish_model
from deltakit.train.recipe import SftRecipe
from deltakit.train.work import begin, newest, work_folder

__all__ = ["preview", "run_sft"]

TRAINING_NAME = "deltakit_training.json"


def preview(recipe: SftRecipe, out: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """What `run_sft` would do: data tokenised and counted, base checked, no weight trained, nothing written."""
    check_output(out.resolve(), overwrite)
    return {"output": str(out.resolve()), **plan_sft(recipe).facts}


def run_sft(
    recipe: SftRecipe, out: Path, *, overwrite: bool = False, resume: bool = True, progress: Progress = silent
) -> dict[str, Any]:
    """Fine-tune by `recipe` and write the folder `out`; gives the plan's facts and what was measured.

    The run lives in OUT.training until the output is whole. Killed or interrupted, the same call goes on from the
    newest complete checkpoint there, to the same weights; `resume=False` begins anew. Under a launcher every process
    makes this call; the first one writes. Raises InputError for an output in the way, VerificationError for a loss that
    is no number, KeyboardInterrupt (saying what was saved) when stopped by a signal.
    """
    out = out.resolve()
    check_output(out, overwrite)
    started, plan, folder = time.monotonic(), plan_sft(recipe), work_folder(out)
    first = int(os.environ.get("RANK", "0")) == 0
    lock = Lock(folder)
    if first:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock.take()
    try:
        measured = _train(plan, folder, first, resume, progress)
        if first:
            measured |= _publish(plan, folder, out, overwrite, progress)
    finally:
        lock.release()
    return {"output": str(out), **plan.facts, **measured, "seconds": round(time.monotonic() - started, 2)}


def _train(plan: Plan, folder: Path, first: bool, resume: bool, progress: Progress) -> dict[str, Any]:
    from accelerate import PartialState

    from deltakit.train.loop import arguments, train

    args = arguments(plan, folder)
    if first:
        begin(folder, identity(plan), fresh=not resume)
    PartialState().wait_for_everyone()
    return train(plan, args, folder, progress)


def _publish(plan: Plan, folder: Path, out: Path, overwrite: bool, progress: Progress) -> dict[str, Any]:
    """Write the output from the last checkpoint; then the run's folder goes, unless its checkpoints are wanted."""
    recipe, losses = plan.recipe, LossFile(folder / "loss.jsonl")
    checkpoint = newest(folder)
    if checkpoint is None:
        raise VerificationError(f"{folder} holds no complete checkpoint", remedy="run again with --resume never")
    measured = {"loss": losses.last("loss"), "holdout_loss": losses.last("holdout_loss")}
    base = fingerprint(plan.base.model.tensors)
    manifest = make_manifest(
        "sft",
        inputs=[describe_input(recipe.base, base)],
        recipe=recipe.model_dump(mode="json", exclude={"output"}),
        seed=recipe.train.seed,
    )
    files: Mapping[str, bytes] = {
        "loss.jsonl": losses.path.read_bytes(),
        "loss.png": draw_losses(losses.rows(), out.name),
        TRAINING_NAME: pretty_json({**manifest, **plan.facts, **measured}),
    }
    if recipe.lora and recipe.lora.output == "adapter":
        publish_adapter(checkpoint, plan.base, recipe, out, files=files, manifest=manifest, overwrite=overwrite)
    else:
        publish_model(
            checkpoint, plan.base, recipe, out,
            files=files, manifest=manifest, overwrite=overwrite, progress=progress,
        )  # fmt: skip
    if not recipe.save.checkpoints:
        remove_tree(folder)
    return measured
