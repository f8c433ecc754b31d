"""What happens between two steps: progress, losses to disk, sealed checkpoints, the guard, an orderly stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from deltakit.checkpoint.pump import Progress
from deltakit.train.losses import LossFile, TokenLoss
from deltakit.train.work import retire, seal

__all__ = ["Interrupt", "Watch", "interruptible"]


@dataclass
class Interrupt:
    """Set by the first SIGINT or SIGTERM: the step in hand is finished and saved. The second stops at once."""

    wanted: bool = False


@contextmanager
def interruptible(processes: int) -> Iterator[Interrupt]:
    """Within the block a first SIGINT or SIGTERM only sets the flag.

    With several processes (which could see it at different steps and then wait for each other for ever) and outside the
    main thread the signals keep their usual effect; the newest checkpoint is then where a resumed run begins.
    """
    flag = Interrupt()
    if processes > 1 or threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: Any) -> None:
        if flag.wanted:
            raise KeyboardInterrupt
        flag.wanted = True

    for number in before:
        signal.signal(number, note)
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Watch(TrainerCallback):  # type: ignore[misc]  # transformers' own hook, untyped
    """The run's side of transformers.Trainer; only the first process writes."""

    def __init__(
        self,
        *,
        folder: Path,
        keep: int,
        loss: TokenLoss,
        file: LossFile,
        interrupt: Interrupt,
        progress: Progress,
        measure: Callable[[], float] | None,
        every: int | None,
    ) -> None:
        self._folder, self._keep, self._loss, self._file = folder, keep, loss, file
        self._interrupt, self._progress = interrupt, progress
        self._measure, self._every = measure, every
        self._note = ""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._loss.step = state.global_step + 1
        if state.is_world_process_zero:
            self._progress.start("training", state.max_steps, "step")
            self._progress.advance(state.global_step, "resumed")

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._loss.step = state.global_step + 1
        if self._interrupt.wanted:
            control.should_save = control.should_training_stop = True
        # reading a loss waits for the accelerator, so there it is read only when something is written
        if args.device.type == "cpu" or control.should_log or control.should_save:
            self._loss.check()
        if state.is_world_process_zero:
            self._progress.advance(1, self._note)
        last = state.global_step >= state.max_steps
        if self._measure and not last and self._every and state.global_step % self._every == 0:
            self._write(state, holdout_loss=self._measure())

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
        if "loss" in logs and state.is_world_process_zero:
            self._note = f"loss {logs['loss']:.4f}"
            self._write(state, loss=logs["loss"], lr=logs["learning_rate"], grad_norm=logs["grad_norm"])

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        from accelerate import PartialState

        PartialState().wait_for_everyone()  # every process writes its own random state
        if state.is_world_process_zero:
            seal(self._folder / f"checkpoint-{state.global_step}")
            retire(self._folder, self._keep)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        ended = state.global_step >= state.max_steps
        if self._measure and ended and not self._file.has("holdout_loss", state.global_step):
            self._write(state, holdout_loss=self._measure())

    def _write(self, state: Any, **numbers: float) -> None:
        if state.is_world_process_zero:
            self._file.write(step=state.global_step, **numbers)
