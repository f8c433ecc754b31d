"""Tied and untied heads meet; logits are those of an oracle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from deltakit.merge.sources.source import Source, open_source
from deltakit.merge.tokens.heads import settle_heads
from support.vocabularies import TABLES, bpe, by_label, model, table

EMBEDDING, HEAD = TABLES


def with_head(source: Source, values: np.ndarray) -> Source:  # type: ignore[type-arg]
    """The same folder with a head stored."""
    from support.models import save
    from support.tensors import tensor

    folder = Path(source.text)
    stored = {n: tensor(table(source, n), s.dtype) for n, s in source.tensors.specs.items()}
    save(folder / "model.safetensors", {**stored, HEAD: tensor(values, "F32")})
    return open_source(source.label, source.text)


def test_models_that_agree_are_left_alone(tmp_path: Path) -> None:
    for tied in (True, False):
        models = by_label(*(model(tmp_path / f"{m}{tied}", bpe(), seed=i, tied=tied) for i, m in enumerate("ab")))
        found = settle_heads(models)
        assert (found.tied, found.notes) == (None, ())
        assert all(found.sources[m] is models[m] for m in models)


def test_a_tied_model_has_its_embedding_as_head(tmp_path: Path) -> None:
    models = by_label(model(tmp_path / "tied", bpe(), seed=1, tied=True), model(tmp_path / "own", bpe(), seed=2))
    found = settle_heads(models)
    assert found.tied is False
    assert np.array_equal(table(found.sources["tied"], HEAD), table(models["tied"]))
    assert found.sources["own"] is models["own"]
    assert "tied: lm_head.weight is its embedding" in found.notes


def test_where_all_are_tied_a_stored_copy_is_left_out(tmp_path: Path) -> None:
    bare = model(tmp_path / "bare", bpe(), seed=1, tied=True)
    double = model(tmp_path / "double", bpe(), seed=2, tied=True)
    double = with_head(double, table(double))
    found = settle_heads(by_label(bare, double))
    assert found.tied is True
    assert not any(HEAD in s.tensors.specs for s in found.sources.values())


def test_a_head_that_differs_from_the_embedding_is_not_tied(tmp_path: Path) -> None:
    bare = model(tmp_path / "bare", bpe(), seed=1, tied=True)
    double = model(tmp_path / "double", bpe(), seed=2, tied=True)
    double = with_head(double, table(double) + 1)
    found = settle_heads(by_label(bare, double))
    assert found.tied is False
    assert np.array_equal(table(found.sources["double"], HEAD), table(double) + 1)


def test_a_model_that_says_it_is_untied_keeps_lacking_its_head(tmp_path: Path) -> None:
    bare = model(tmp_path / "bare", bpe(), seed=1, tied=True)
    config = tmp_path / "bare" / "config.json"
    config.write_text(config.read_text().replace('"tie_word_embeddings": true', '"tie_word_embeddings": false'))
    bare = open_source("bare", bare.text)
    found = settle_heads(by_label(bare, model(tmp_path / "own", bpe(), seed=2)))
    assert HEAD not in found.sources["bare"].tensors.specs


@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.5, 0.5)])
def test_logits_of_a_mean_of_tied_and_untied(tmp_path: Path, weights: tuple[float, float]) -> None:
    """The oracle averages transformers' own state dicts, in which a tied model has its embedding as head."""
    import torch
    from transformers import AutoModelForCausalLM

    models = by_label(model(tmp_path / "tied", bpe(), seed=1, tied=True), model(tmp_path / "own", bpe(), seed=2))
    loaded = {m: AutoModelForCausalLM.from_pretrained(s.text) for m, s in models.items()}
    oracle = loaded["own"]
    states = [loaded[m].state_dict() for m in ("tied", "own")]
    mean = {n: weights[0] * states[0][n] + weights[1] * states[1][n] for n in states[1]}
    oracle.load_state_dict(mean)

    seen = settle_heads(models).sources
    merged = {
        n: weights[0] * table(seen["tied"], n) + weights[1] * table(seen["own"], n) for n in seen["own"].tensors.specs
    }
    config = json.loads(Path(models["tied"].text, "config.json").read_text()) | {"tie_word_embeddings": False}
    made = AutoModelForCausalLM.from_config(type(oracle.config)(**config))
    made.load_state_dict({n: torch.from_numpy(a.copy()) for n, a in merged.items()})
    ids = torch.arange(12)[None]
    with torch.no_grad():
        assert torch.allclose(made.eval()(ids).logits, oracle.eval()(ids).logits, atol=1e-5)
