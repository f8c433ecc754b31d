"""Which tensors the result has and what each is read from."""

from __future__ import annotations

import pytest

from deltakit.errors import MismatchError, RecipeError
from deltakit.merge.mergekit.layout import Cut, Input, Names, is_before, sliced, whole
from support.mergekit import LAYER, llama


def cut(*labels, base=None, layers=None):
    given = layers or [None] * len(labels)
    inputs = [Input(n, {}, range(*r) if r else None) for n, r in zip(labels, given, strict=True)]
    return Cut(tuple(inputs), base, ())


def rows_of(rows):
    return {r.name: r for r in rows}


@pytest.mark.parametrize(
    "name",
    ["model.embed_tokens.weight", "transformer.wte.weight", "transformer.wpe.weight", "gpt_neox.embed_in.weight",
     "embeddings.word_embeddings.weight", "bert.embeddings.LayerNorm.weight", "model.decoder.embed_positions.weight",
     "model.decoder.project_in.weight", "transformer.word_embeddings_layernorm.bias"],
)  # fmt: skip
def test_embeddings_lie_before_the_layers(name):
    assert is_before(name)


@pytest.mark.parametrize(
    "name",
    ["lm_head.weight", "model.norm.weight", "transformer.ln_f.bias", "embed_out.weight", "cls.predictions.bias",
     "model.decoder.project_out.weight", "score.weight", "gpt_neox.final_layer_norm.weight"],
)  # fmt: skip
def test_all_else_lies_behind_them(name):
    assert not is_before(name)


def test_a_whole_model_reads_its_own_names():
    notes = []
    rows = rows_of(whole(cut("a", "b"), {"a": llama(3), "b": llama(3)}, notes))
    assert list(rows) == sorted(llama(3).names)
    assert all(r.reads == (r.name, r.name) for r in rows.values())
    assert [rows[f"model.layers.{i}.input_layernorm.weight"].t for i in range(3)] == [0.0, 0.5, 1.0]
    assert rows["lm_head.weight"].t is None
    assert notes == []


def test_what_a_slices_first_model_lacks_is_told():
    more = Names(llama(3).names | {"model.layers.2.mlp.up_proj.bias"}, {"num_hidden_layers": 3})
    for layers, expected in (((1, 3), ["left out: model.layers.2.mlp.up_proj.bias of b, which a lacks"]), ((0, 2), [])):
        notes = []
        sliced([cut("a", "b", layers=[(0, 2), layers])], {"a": llama(3), "b": more}, notes)
        assert notes == expected


def test_one_layer_lies_at_the_end():
    rows = rows_of(whole(cut("a"), {"a": llama(1)}, []))
    assert rows["model.layers.0.input_layernorm.weight"].t == 1.0


def test_each_stack_of_layers_is_counted_by_itself():
    names = {f"{side}.block.{i}.x" for side, n in (("encoder", 2), ("decoder", 3)) for i in range(n)}
    rows = rows_of(whole(cut("a"), {"a": Names(frozenset(names))}, []))
    assert [rows[f"encoder.block.{i}.x"].t for i in range(2)] == [0.0, 1.0]
    assert [rows[f"decoder.block.{i}.x"].t for i in range(3)] == [0.0, 0.5, 1.0]


def test_a_tied_head_is_read_from_the_embedding():
    models = {"tied": llama(head=False, tie_word_embeddings=True), "own": llama(tie_word_embeddings=False)}
    for labels, reads in (
        (("tied", "own"), ("model.embed_tokens.weight", "lm_head.weight")),
        (("own", "tied"), ("lm_head.weight", "model.embed_tokens.weight")),
    ):
        assert rows_of(whole(cut(*labels), models, []))["lm_head.weight"].reads == reads
    assert "lm_head.weight" not in rows_of(whole(cut("tied"), models, []))


def test_a_redundant_head_of_a_tied_model_does_not_give_the_result_one():
    models = {"a": llama(head=False), "b": llama(tie_word_embeddings=True)}
    notes = []
    assert "lm_head.weight" not in rows_of(whole(cut("a", "b"), models, notes))
    assert notes == ["left out: lm_head.weight of b, which a lacks"]


def test_a_missing_head_of_an_untied_model_is_no_embedding():
    models = {"a": llama(), "b": llama(head=False, tie_word_embeddings=False)}
    assert rows_of(whole(cut("a", "b"), models, []))["lm_head.weight"].reads == ("lm_head.weight", "lm_head.weight")


def test_what_the_reference_lacks_is_left_out_and_told():
    more = Names(llama().names | {"model.layers.0.extra.weight", "model.layers.0.self_attn.rotary_emb.inv_freq"})
    notes = []
    assert len(whole(cut("a", "b"), {"a": llama(), "b": more}, notes)) == len(llama().names)
    assert notes == [
        "left out: model.layers.0.extra.weight, model.layers.0.self_attn.rotary_emb.inv_freq of b, which a lacks"
    ]
    notes = []
    rows = whole(cut("a", "b", base="b"), {"a": llama(), "b": more}, notes)
    assert "model.layers.0.extra.weight" in rows_of(rows)  # a lacks it: an error once tensors are looked at
    assert notes == ["left out: model.layers.0.self_attn.rotary_emb.inv_freq, which not all models have"]


def test_models_of_unequal_depth_need_slices():
    with pytest.raises(MismatchError, match="different numbers of layers") as caught:
        whole(cut("a", "b"), {"a": llama(4), "b": llama(6)}, [])
    assert caught.value.details == ("a: 4 in model.layers", "b: 6 in model.layers")


def test_slices_are_laid_end_to_end():
    models = {"a": llama(4), "b": llama(4), "c": llama(6)}
    cuts = [
        cut("a", layers=[(1, 3)]),
        cut("b", "a", layers=[(0, 1), (3, 4)], base="a"),
        cut("c", layers=[(3, 6)]),
    ]
    rows = rows_of(sliced(cuts, models, []))
    part = LAYER[1]
    found = [(r.reads, r.t, r.origin) for i in range(6) if (r := rows[f"model.layers.{i}.{part}.weight"])]
    names = [f"model.layers.{i}.{part}.weight" for i in range(6)]
    assert found == [
        ((names[1],), 0.0, 1),
        ((names[2],), 1.0, 2),
        ((names[0], names[3]), 1.0, 3),
        ((names[3],), 0.0, 3),
        ((names[4],), 0.5, 4),
        ((names[5],), 1.0, 5),
    ]
    assert len(rows) == 6 * len(LAYER) + 3
    assert rows["model.embed_tokens.weight"].cut is cuts[0]
    assert rows["model.norm.weight"].cut is cuts[2]
    assert rows["lm_head.weight"].cut is cuts[2]


def test_slices_that_do_not_fit():
    models = {"a": llama(4), "b": llama(6)}
    with pytest.raises(RecipeError) as unequal:
        sliced([cut("a", "b", layers=[(0, 2), (0, 3)])], models, [])
    assert unequal.value.details == ("slice 1: a gives 2, b gives 3",)
    with pytest.raises(MismatchError) as beyond:
        sliced([cut("b", layers=[(0, 6)]), cut("a", layers=[(2, 6)]), cut("a", layers=[(4, 5)])], models, [])
    assert beyond.value.details == (
        "slice 2: a has 4 layers, not [2, 6)",
        "slice 3: a has 4 layers, not [4, 5)",
    )


def test_slices_need_one_stack_of_layers():
    both = Names(llama(prefix="text.").names | llama(prefix="vision.").names)
    with pytest.raises(RecipeError, match=r"several stacks of layers \(text.model.layers, vision.model.layers\)"):
        sliced([cut("a", layers=[(0, 1)])], {"a": both}, [])
    with pytest.raises(RecipeError, match="no layers in its tensors' names"):
        sliced([cut("a", layers=[(0, 1)])], {"a": Names(frozenset({"x"}))}, [])
