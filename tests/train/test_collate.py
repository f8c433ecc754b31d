"""Batches: padded on the right, labels on responses only."""

import numpy as np

from deltakit.train.collate import pad_batch


def test_prompt_and_padding_are_not_learned():
    batch = pad_batch([(np.array([5, 6, 7, 2], np.int32), 2), (np.array([8, 2], np.int32), 1)], pad=3)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 2], [8, 2, 3, 3]]
    assert batch["labels"].tolist() == [[-100, -100, 7, 2], [-100, 2, -100, -100]]


def test_a_padding_token_that_is_eos_hides_no_eos():
    batch = pad_batch([(np.array([5, 6, 2], np.int32), 1), (np.array([8, 2], np.int32), 1)], pad=2)
    assert batch["labels"].tolist() == [[-100, 6, 2], [-100, 2, -100]]


def test_without_a_mask_the_loss_is_that_of_unpadded_records(tiny_base):
    import torch

    from deltakit.checkpoint import open_checkpoint
    from deltakit.runtime import load_model
    from deltakit.train.losses import token_loss

    opened = open_checkpoint(tiny_base)
    model = load_model(opened, opened.sidecar, dtype="F32")
    examples = [(np.arange(4, 4 + n, dtype=np.int32), 2) for n in (12, 5, 9)]

    def loss(some):
        batch = pad_batch(some, pad=3)
        return token_loss(model(input_ids=batch["input_ids"]).logits, batch["labels"])

    apart = sum(loss([e]) for e in examples)
    assert torch.allclose(loss(examples), apart, rtol=1e-5)
