"""The run itself, on transformers.Trainer: one process or many, CPU or GPU, from the start or from a checkpoint."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PrinterCallback, Trainer, TrainingArguments
from transformers.utils import logging

from deltakit.checkpoint import Progress
from deltakit.errors import RecipeError
from deltakit.runtime import threads_for
from deltakit.train.attention import use_float32_attention
from deltakit.train.base import load_trainable
from deltakit.train.collate import pad_batch
from deltakit.train.holdout import held_out_loss
from deltakit.train.losses import LossFile, TokenLoss
from deltakit.train.masking import Encoded
from deltakit.train.plan import Plan
from deltakit.train.watch import Watch, interruptible
from deltakit.train.work import newest, step_of

__all__ = ["arguments", "train"]


@dataclasses.dataclass(frozen=True)
class Ordered(torch.utils.data.Dataset[Any]):
    """The examples in the order they are seen; one pass over it is the whole run."""

    examples: Encoded
    order: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, i: int) -> tuple[NDArray[np.int32], int]:
        return self.examples[int(self.order[i])]


def train(plan: Plan, args: Any, folder: Path, progress: Progress) -> dict[str, Any]:
    """Train to the plan's last step in `folder`, from its newest complete checkpoint if any; `args` from `arguments`.

    Every process of a launch calls it. Raises VerificationError for a loss that is no number, KeyboardInterrupt after
    saving when stopped by a signal.
    """
    start = newest(folder)
    losses = LossFile(folder / "loss.jsonl")
    if args.process_index == 0:
        losses.cut(step_of(start) if start else 0)
    model = load_trainable(plan.base, plan.recipe)
    if args.device.type == "cpu" and args.bf16:
        use_float32_attention(model)
    loss = TokenLoss()
    with interruptible(args.world_size) as interrupt, _threads(plan, args.device.type), _quiet():
        trainer = Trainer(
            model=model,
            args=args,
            train_dataset=Ordered(plan.train, plan.order()),
            data_collator=partial(pad_batch, pad=plan.base.pad),
            compute_loss_func=loss,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(
            Watch(
                folder=folder,
                keep=plan.recipe.save.keep,
                loss=loss,
                file=losses,
                interrupt=interrupt,
                progress=progress,
                measure=_measure(trainer, plan),
                every=plan.recipe.log.holdout_steps,
            )
        )
        begun = time.monotonic()
        try:
            trainer.train(resume_from_checkpoint=str(start) if start else None)
        finally:
            progress.stop()
    done = trainer.state.global_step
    if done < plan.steps:
        raise KeyboardInterrupt(f"stopped at step {done} of {plan.steps}, which is saved")
    ran = done - (step_of(start) if start else 0)
    seconds = time.monotonic() - begun
    return {
        "resumed_at": step_of(start) if start else 0,
        "trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "milliseconds_per_step": round(1000 * seconds / ran, 2) if ran else None,
        "processes": args.world_size,
        "device": args.device.type,
    }


@contextmanager
def _threads(plan: Plan, device: str) -> Iterator[None]:
    """The recipe's number of threads, else the one that suits the model's size; restored."""
    with threads_for(plan.base.parameters, device):
        if plan.recipe.train.threads:
            torch.set_num_threads(plan.recipe.train.threads)
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """No bars of transformers' own; the setting is restored."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _measure(trainer: Any, plan: Plan) -> Any:
    if plan.held is None:
        return None
    size = plan.recipe.train.batch_size
    return lambda: held_out_loss(trainer.model_wrapped, plan.held, plan.base.pad, size, trainer.accelerator)


def arguments(plan: Plan, folder: Path) -> Any:
    """The recipe as TrainingArguments; starts torch.distributed when a launcher set it up."""
    settings, recipe = plan.recipe.train, plan.recipe
    cpu = not torch.accelerator.is_available()
    if settings.precision == "fp16" and cpu:
        raise RecipeError("train.precision: fp16 needs a GPU", remedy="use bf16 or fp32")
    warmup = settings.warmup_steps
    args = TrainingArguments(
        output_dir=str(folder),
        max_steps=plan.steps,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=settings.lr,
        lr_scheduler_type=settings.schedule if settings.schedule != "constant" else "constant_with_warmup",
        warmup_steps=warmup if warmup is not None else math.ceil(settings.warmup_ratio * plan.steps),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        optim="adamw_torch_fused",
        seed=settings.seed,
        bf16=settings.precision == "bf16",
        fp16=settings.precision == "fp16",
        use_cpu=cpu,
        train_sampling_strategy="sequential",  # the order is settled in the plan
        remove_unused_columns=False,
        dataloader_pin_memory=not cpu,
        ddp_find_unused_parameters=False,
        logging_steps=recipe.log.steps,
        logging_nan_inf_filter=False,  # it would hide what TokenLoss looks for
        save_strategy="steps",
        save_steps=recipe.save.steps,
        disable_tqdm=True,
        report_to="none",
    )
    if args.device.type == "cuda":
        args._n_gpu = 1  # several GPUs are several processes (accelerate launch), never torch.nn.DataParallel
    return args
