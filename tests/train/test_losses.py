"""The loss is the mean over learned tokens; a loss that is no number stops the run with its step."""

import pytest
import torch

from deltakit.errors import VerificationError
from deltakit.train.losses import LossFile, TokenLoss, token_loss


def batch():
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 5, 7), torch.randint(0, 7, (2, 5))
    labels[0, :3] = -100
    labels[1, 4:] = -100
    return logits, labels


def test_it_is_transformers_loss_times_the_tokens():
    from transformers.loss.loss_utils import ForCausalLMLoss

    logits, labels = batch()
    theirs = ForCausalLMLoss(logits, labels, vocab_size=7, num_items_in_batch=torch.tensor(5))
    assert torch.allclose(token_loss(logits, labels) / 5, theirs)


def test_accumulated_halves_are_the_whole():
    logits, labels = batch()
    count = (labels[:, 1:] != -100).sum()
    loss = TokenLoss()
    halves = [loss({"logits": logits[i : i + 1]}, labels[i : i + 1], num_items_in_batch=count) for i in (0, 1)]
    assert torch.allclose(sum(halves), token_loss(logits, labels) / count)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_the_first_bad_step_is_named(bad):
    logits, labels = batch()
    loss = TokenLoss()
    loss({"logits": logits}, labels)
    loss.check()
    for step in (2, 3, 4):
        loss.step = step
        loss({"logits": logits * (bad if step >= 3 else 1)}, labels)
    with pytest.raises(VerificationError, match="not finite at step 3"):
        loss.check()


def test_the_file_forgets_what_is_run_again(tmp_path):
    file = LossFile(tmp_path / "loss.jsonl")
    assert file.rows() == []
    assert file.last("loss") is None
    for step in (2, 4, 6):
        file.write(step=step, loss=1.0 / step)
    file.write(step=4, holdout_loss=0.5)
    with file.path.open("a") as out:
        out.write('{"step": 8, "lo')
    assert file.last("loss") == 1 / 6
    file.cut(4)
    assert [r["step"] for r in file.rows()] == [2, 4, 4]
    assert file.has("holdout_loss", 4)
    assert not file.has("holdout_loss", 2)
