"""The recipe as TrainingArguments, and a run against a bare loop."""

import numpy as np
import pytest
import torch

from deltakit.checkpoint import silent
from deltakit.train.base import load_trainable
from deltakit.train.collate import pad_batch
from deltakit.train.loop import Ordered, arguments, train
from deltakit.train.losses import LossFile, token_loss
from deltakit.train.plan import plan_sft
from support.training import recipe


def test_arguments_say_what_the_recipe_says(small, data, tmp_path):
    made = recipe(small, data, train={"schedule": "constant", "warmup_steps": None, "warmup_ratio": 0.4})
    args = arguments(plan_sft(made), tmp_path)
    assert (args.max_steps, args.learning_rate, args.warmup_steps) == (6, 1e-3, 3)
    assert args.lr_scheduler_type == "constant_with_warmup"
    assert not args.logging_nan_inf_filter
    assert args.report_to == []


def test_ordered_gives_examples_in_order(small, data):
    plan = plan_sft(recipe(small, data))
    some = Ordered(plan.train, np.array([3, 1, 3]))
    assert len(some) == 3
    assert np.array_equal(some[0][0], plan.train[3][0])
    assert np.array_equal(some[1][0], plan.train[1][0])


@pytest.mark.parametrize("accumulation", [1, 2])
def test_the_losses_are_those_of_a_bare_loop(small, data, tmp_path, accumulation):
    size = 4 // accumulation
    changes = {"precision": "fp32", "schedule": "constant", "warmup_steps": 0, "batch_size": size}
    made = recipe(small, data, train={**changes, "accumulation": accumulation}, log={"steps": 1})
    plan = plan_sft(made)
    train(plan, arguments(plan, tmp_path), tmp_path, silent)
    model = load_trainable(plan.base, made)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    wanted = []
    for rows in plan.order().reshape(6, 4):
        batch = pad_batch([plan.train[i] for i in rows], plan.base.pad)
        loss = token_loss(model(input_ids=batch["input_ids"]).logits, batch["labels"])
        loss = loss / (batch["labels"] != -100).sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        wanted.append(loss.item())
    assert [r["loss"] for r in LossFile(tmp_path / "loss.jsonl").rows()] == pytest.approx(wanted, rel=1e-4)


def test_threads_are_the_recipes_and_restored(small, data, tmp_path):
    before = torch.get_num_threads()
    plan = plan_sft(recipe(small, data, train={"threads": 2, "max_steps": 1}))
    assert train(plan, arguments(plan, tmp_path), tmp_path, silent)["device"] == "cpu"
    assert torch.get_num_threads() == before
