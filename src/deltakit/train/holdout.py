"""Held-out loss: mean negative log-likelihood of the responses that were not trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from deltakit.train.collate import pad_batch
from deltakit.train.losses import token_loss
from deltakit.train.masking import Encoded

__all__ = ["held_out_loss"]


def held_out_loss(model: Any, held: Encoded, pad: int, batch_size: int, accelerator: Any) -> float:
    """Nats per learned token over all of `held`, each counted once; the model is left in training mode.

    With several processes every one runs the same number of batches (sharded models need that) and the sums are added.
    """
    longest_first = np.argsort(-held.lengths, kind="stable")
    batches = [longest_first[i : i + batch_size] for i in range(0, len(held), batch_size)]
    world, rank = accelerator.num_processes, accelerator.process_index
    sums = torch.zeros(2, dtype=torch.float64, device=accelerator.device if world > 1 else "cpu")
    model.eval()
    with torch.no_grad(), accelerator.autocast():
        for turn in range(0, len(batches), world):
            mine = turn + rank
            batch = pad_batch([held[i] for i in batches[min(mine, len(batches) - 1)]], pad)
            found = _sums(model, {k: v.to(accelerator.device) for k, v in batch.items()})
            if mine < len(batches):
                sums += found.to(sums.device)
    model.train()
    total, tokens = accelerator.reduce(sums, "sum").tolist()
    return float(total / tokens)


def _sums(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """float64 (2,): summed loss, learned tokens."""
    labels = batch.pop("labels")
    loss = token_loss(model(**batch)["logits"], labels)
    return torch.stack([loss.double().cpu(), (labels[:, 1:] >= 0).sum().double().cpu()])
