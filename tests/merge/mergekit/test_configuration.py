"""What changes in config.json."""

from __future__ import annotations

from deltakit.merge.mergekit.configuration import configuration
from deltakit.merge.mergekit.layout import Cut, Input, Names, sliced, whole
from support.mergekit import llama

KINDS = ["full", "sliding", "full", "sliding"]


def cut(label, *layers):
    return Cut((Input(label, {}, range(*layers) if layers else None),), None, ())


def changes(config, *ranges):
    model, notes = Names(llama().names, config), []
    rows = sliced([cut("a", *r) for r in ranges], {"a": model}, notes)
    return configuration(model, rows, sliced=True, notes=notes), notes


def test_the_number_of_layers_follows_the_slices():
    assert changes({"num_hidden_layers": 4}, (0, 3), (1, 4)) == ({"num_hidden_layers": 6}, [])
    assert changes({"n_layer": 4, "vocab_size": 4}, (0, 1))[0] == {"n_layer": 1}


def test_lists_with_an_entry_for_each_layer_follow_them():
    config = {"num_hidden_layers": 4, "layer_types": KINDS, "eos_token_id": [1, 2, 3, 4], "sizes": [1, 2]}
    found, notes = changes(config, (1, 2), (3, 4), (0, 1))
    assert found == {"num_hidden_layers": 3, "layer_types": ["sliding", "sliding", "full"]}
    assert notes == ["layer_types: follows the layers, which it does not in mergekit"]


def test_a_nested_configuration_is_changed_where_it_is():
    inner = {"num_hidden_layers": 4, "hidden_size": 8}
    found, _ = changes({"text_config": inner, "model_type": "vlm"}, (0, 2))
    assert found == {"text_config": {"num_hidden_layers": 2, "hidden_size": 8}}


def test_whole_models_change_nothing():
    model = llama()
    assert configuration(model, whole(cut("a"), {"a": model}, []), sliced=False, notes=[]) == {}
    assert configuration(Names(model.names), whole(cut("a"), {"a": model}, []), sliced=True, notes=[]) == {}


def test_a_head_of_its_own_unties_the_configuration():
    tied, own = llama(head=False, tie_word_embeddings=True), llama(tie_word_embeddings=False)
    both = Cut((Input("tied", {}), Input("own", {})), None, ())
    notes: list[str] = []
    rows = whole(both, {"tied": tied, "own": own}, notes)
    assert configuration(tied, rows, sliced=False, notes=notes) == {"tie_word_embeddings": False}
    assert notes[0].startswith("tie_word_embeddings becomes false")
    assert configuration(own, rows, sliced=False, notes=notes) == {}
