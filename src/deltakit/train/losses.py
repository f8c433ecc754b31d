"""The loss of a batch, the losses of a run as JSON lines, and the guard against losses that are no numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from deltakit.errors import VerificationError
from deltakit.train.masking import IGNORE

__all__ = ["LossFile", "TokenLoss", "token_loss"]


def token_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Summed negative log-likelihood in nats of the labels that are not IGNORE, float32.

    logits (batch, length, vocabulary), labels (batch, length); position t predicts label t + 1. The logits of prompts
    and padding are left out before the softmax.
    """
    wanted = labels[:, 1:]
    learned = wanted != IGNORE
    return cross_entropy(logits[:, :-1][learned].float(), wanted[learned], reduction="sum")


class TokenLoss:
    """The training loss: mean over the learned tokens of the whole step, all micro-batches and processes together.

    Keeps for every step whether its losses were finite, on their device, so that looking costs no waiting.
    """

    def __init__(self) -> None:
        self._finite: list[tuple[int, torch.Tensor]] = []
        self.step = 1

    def __call__(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        count = (labels != IGNORE).sum() if num_items_in_batch is None else num_items_in_batch
        loss = token_loss(outputs["logits"], labels) / count
        self._finite.append((self.step, torch.isfinite(loss.detach())))
        return loss

    def check(self) -> None:
        """VerificationError naming the first step whose loss is NaN or infinite."""
        bad = [step for step, finite in self._finite if not finite]
        self._finite.clear()
        if bad:
            raise VerificationError(
                f"the loss is not finite at step {bad[0]}; training stopped, nothing was written",
                remedy="lower train.lr, lengthen the warm-up, or set train.precision to fp32",
            )


class LossFile:
    """`loss.jsonl`: one line of numbers at each logged step."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[dict[str, Any]]:
        """All lines, in order; a last line that a kill cut short is none."""
        lines = self.path.read_text().split("\n")[:-1] if self.path.exists() else []
        return [json.loads(line) for line in lines]

    def has(self, field: str, step: int) -> bool:
        """Whether `field` was measured at `step`."""
        return any(row["step"] == step and field in row for row in self.rows())

    def last(self, field: str) -> float | None:
        """The newest value of `field`."""
        found = [float(row[field]) for row in self.rows() if field in row]
        return found[-1] if found else None

    def cut(self, step: int) -> None:
        """Forget what came after `step`: it is about to be run again."""
        kept = [json.dumps(row) + "\n" for row in self.rows() if row["step"] <= step]
        self.path.write_text("".join(kept))

    def write(self, **row: Any) -> None:
        """Append one line."""
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
