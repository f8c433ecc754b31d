"""Differences that lm-eval adds to a base: lm-eval itself is the oracle. Run: pytest tests/compress/export"""

from __future__ import annotations

import warnings

import pytest
import torch

from deltakit.checkpoint.open import open_checkpoint
from deltakit.compress.export.export import Request, export
from deltakit.compress.export.lm_eval_delta import differences
from deltakit.delta.difference import difference
from deltakit.errors import MismatchError
from deltakit.tensors import read
from support.models import tiny_llama, tiny_tuned


def pair(folder, **options):
    base = open_checkpoint(tiny_llama(folder / "base", seed=1, **options))
    return base, open_checkpoint(tiny_tuned(base.path, folder / "tuned", seed=2))


def test_lm_eval_makes_the_fine_tune_of_it(tmp_path):
    from lm_eval.models.huggingface import HFLM

    _, tuned = pair(tmp_path)
    export(Request(str(tmp_path / "base"), str(tmp_path / "tuned"), "lm-eval-delta", tmp_path / "delta"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = HFLM(
            pretrained=str(tmp_path / "base"), delta=str(tmp_path / "delta"), device="cpu", dtype="float32",
            tokenizer=str(tmp_path / "base"),
        ).model  # fmt: skip
    for name, made in model.state_dict().items():
        assert torch.allclose(made, read(tuned, name).float(), rtol=1e-6, atol=1e-7), name


def test_a_tied_embedding_that_changed_is_refused(tmp_path):
    base, tuned = pair(tmp_path, tied=True)
    with pytest.raises(MismatchError) as wrong:
        differences(base, difference(base, tuned).bind(base))
    assert wrong.value.details == (
        "model.embed_tokens.weight: the model uses it twice, and lm-eval would add its delta twice",
    )


def test_added_rows_are_refused(tmp_path):
    base = open_checkpoint(tiny_llama(tmp_path / "base", seed=1))
    tuned = open_checkpoint(tiny_tuned(base.path, tmp_path / "tuned", seed=2, extra_rows=3))
    with pytest.raises(MismatchError) as wrong:
        differences(base, difference(base, tuned).bind(base))
    assert [d.split()[0] for d in wrong.value.details] == ["lm_head.weight", "model.embed_tokens.weight"]
