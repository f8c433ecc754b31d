"""Held-out loss: every learned token once."""

import pytest
import torch
from accelerate import Accelerator

from deltakit.train.base import load_trainable
from deltakit.train.collate import pad_batch
from deltakit.train.holdout import held_out_loss
from deltakit.train.losses import token_loss
from deltakit.train.plan import plan_sft
from support.training import recipe


@pytest.mark.parametrize("size", [1, 3, 50])
def test_it_is_the_mean_over_tokens_whatever_the_batch(small, data, size):
    made = recipe(small, data, holdout=0.4)
    plan = plan_sft(made)
    model = load_trainable(plan.base, made)
    total, tokens = 0.0, 0
    with torch.no_grad():
        for i in range(len(plan.held)):
            batch = pad_batch([plan.held[i]], 3)
            total += float(token_loss(model(input_ids=batch["input_ids"]).logits, batch["labels"]))
            tokens += len(plan.held[i][0]) - plan.held[i][1]
    found = held_out_loss(model, plan.held, 3, size, Accelerator(cpu=True))
    assert found == pytest.approx(total / tokens, rel=1e-5)
    assert model.training
