"""Embeddings and heads are told from other tensors by names and shapes alone."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.checkpoint.sidecar import Sidecar
from deltakit.errors import MismatchError
from deltakit.merge.sources.source import Source
from deltakit.merge.tokens.tables import embedding_of, tables_of, vocabulary_rows
from support.tensors import memory, tensor


def source(label: str, shapes: dict[str, tuple[int, ...]], config: str = "{}") -> Source:
    tensors = memory({n: tensor(np.zeros(s)) for n, s in sorted(shapes.items())})
    return Source(label, label, tensors, Sidecar({"config.json": config.encode()}), "")


GPT2 = {"wte.weight": (8, 4), "wpe.weight": (8, 4), "h.0.mlp.c_fc.weight": (8, 4), "ln_f.weight": (8,)}
BERT = {
    "bert.embeddings.word_embeddings.weight": (9, 9), "bert.embeddings.LayerNorm.weight": (9,),
    "bert.embeddings.position_embeddings.weight": (9, 9), "bert.embeddings.token_type_embeddings.weight": (2, 9),
    "bert.encoder.layer.0.attention.self.query.weight": (9, 9), "cls.predictions.bias": (9,),
    "cls.predictions.decoder.weight": (9, 9), "cls.predictions.transform.LayerNorm.weight": (9,),
}  # fmt: skip
NEOX = {"gpt_neox.embed_in.weight": (10, 4), "embed_out.weight": (10, 4), "gpt_neox.final_layer_norm.weight": (4,)}


@pytest.mark.parametrize(
    ("shapes", "tables"),
    [
        (GPT2, ["wte.weight"]),
        (
            BERT,
            ["bert.embeddings.word_embeddings.weight", "cls.predictions.bias", "cls.predictions.decoder.weight"],
        ),
        (NEOX, ["embed_out.weight", "gpt_neox.embed_in.weight"]),
    ],
)
def test_tables_of_known_layouts_with_awkward_sizes(shapes: dict[str, tuple[int, ...]], tables: list[str]) -> None:
    assert list(tables_of({"m": source("m", shapes)})) == tables


def test_rows_tell_what_belongs_to_the_vocabulary() -> None:
    odd = source("b", {"wte.weight": (6, 4), "projector.weight": (8, 4), "out.weight": (6, 4)})
    even = source("a", {"wte.weight": (8, 4), "projector.weight": (8, 4), "out.weight": (8, 4)})
    assert tables_of({"a": even, "b": odd}) == {"wte.weight": 4, "out.weight": 4}


def test_the_configuration_helps_where_no_name_is_known() -> None:
    made = source("m", {"lexicon": (5, 3), "other": (7, 3)}, '{"text_config": {"vocab_size": 5}}')
    assert embedding_of(made.tensors) is None
    assert vocabulary_rows(made) == 5
    assert list(tables_of({"m": made})) == ["lexicon"]
    with pytest.raises(MismatchError, match="m: no tensor looks like an embedding"):
        vocabulary_rows(source("m", {"lexicon": (5, 3)}))


def test_what_does_not_fit_is_listed_at_once() -> None:
    models = {
        "a": source("a", {"wte.weight": (8, 4), "out.weight": (8, 4)}),
        "b": source("b", {"wte.weight": (6, 4), "out.weight": (5, 4)}),
        "c": source("c", {"wte.weight": (6, 3)}),
    }
    with pytest.raises(MismatchError) as caught:
        tables_of(models)
    assert set(caught.value.details) == {
        "a: wte.weight is [8, 4]", "b: wte.weight is [6, 4]", "c: wte.weight is [6, 3]",
        "b: out.weight has 5 rows, its vocabulary 6",
    }  # fmt: skip
    with pytest.raises(MismatchError) as caught:
        tables_of({k: v for k, v in models.items() if k != "b"} | {"c": source("c", {"wte.weight": (6, 4)})})
    assert caught.value.details == ("c: lacks out.weight",)
