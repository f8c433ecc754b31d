"""Sizes and ids in configurations follow the vocabulary."""

from __future__ import annotations

import json
from pathlib import Path

from deltakit.checkpoint.sidecar import Sidecar
from deltakit.merge.sources.source import Source
from deltakit.merge.tokens.assign import Known, assign
from deltakit.merge.tokens.choice import TokenizerChoice
from deltakit.merge.tokens.read import Vocabulary
from deltakit.merge.tokens.settings import generation_of, settings_of
from support.tensors import memory


def source(label: str, config: object, generation: object = None) -> Source:
    files = {"config.json": json.dumps(config).encode()}
    if generation is not None:
        files["generation_config.json"] = json.dumps(generation).encode()
    return Source(label, label, memory({}), Sidecar(files), "")


KNOWN = {
    "a": Known(Vocabulary({"<s>": 0, "</s>": 1, "x": 2}), 3),
    "b": Known(Vocabulary({"x": 0, "<s>": 1, "<end>": 2, "</s>": 3}), 4),
}


def settle(a: object, b: object, anchor: str = "b", choice: str = "b", tied: bool | None = None) -> object:
    made = assign(KNOWN, TokenizerChoice.model_validate({"source": choice}), anchor=anchor, base="a")
    models = {"a": source("a", a), "b": source("b", b)}
    return settings_of(models, KNOWN, made, donor="a", anchor=anchor, tied=tied)


def test_the_chosen_models_ids_win_and_the_donors_are_found_again() -> None:
    a = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": None, "vocab_size": 3, "other": 1}
    assert settle(a, {"eos_token_id": [2, 3], "pad_token_id": 2}) == (
        {"bos_token_id": 1, "eos_token_id": [2, 3], "pad_token_id": 2, "vocab_size": 4},
        (),
    )


def test_ids_that_stay_are_no_change() -> None:
    a = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": -1, "vocab_size": 3}
    assert settle(a, {}, anchor="a", choice="base") == ({}, ())
    assert settle(a, {}, anchor="a", choice="union") == ({"vocab_size": 4}, ())
    assert settle(a, {}, anchor="a", choice="base", tied=False) == ({"tie_word_embeddings": False}, ())


def test_a_tower_says_its_own_size() -> None:
    a = {"text_config": {"vocab_size": 3, "y": 1}, "vision_config": {"z": 1}}
    assert settle(a, {}) == ({"text_config": {"vocab_size": 4, "y": 1}}, ())


def test_an_id_without_a_token_is_said() -> None:
    changes, lost = settle({"image_token_index": 7}, {})  # type: ignore[misc]
    assert changes == {}
    assert lost == ("config.json: image_token_index 7 is no token of the result, and is left as it is",)


def test_generation_follows(tmp_path: Path) -> None:
    made = assign(KNOWN, TokenizerChoice.model_validate({"source": "b"}), anchor="b", base="a")
    models = {"a": source("a", {}, {"eos_token_id": [1, 0], "top_p": 0.9}), "b": source("b", {})}
    assert generation_of(models, KNOWN, made, donor="a", anchor="b") == {"eos_token_id": [3, 1]}
    assert generation_of({**models, "a": source("a", {})}, KNOWN, made, donor="a", anchor="b") == {}
