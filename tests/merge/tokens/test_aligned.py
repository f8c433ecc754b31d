"""The files beside an aligned merge are the donor's but for the vocabulary."""

from __future__ import annotations

import json

from deltakit.checkpoint.sidecar import Sidecar
from deltakit.merge.tokens.aligned import Aligned


def test_dress_replaces_the_vocabulary_and_nothing_else() -> None:
    files = {
        "config.json": b'{"vocab_size": 4, "x": 1}',
        "generation_config.json": b'{"eos_token_id": 2}',
        "LICENSE": b"as it is",
        "merges.txt": b"old",
        "tokenizer.json": b"old",
    }
    aligned = Aligned({}, 6, {"tokenizer.json": b"new"}, {"vocab_size": 6}, {"eos_token_id": [2, 5]})
    found = aligned.dress(Sidecar(files))
    assert found.config == {"vocab_size": 6, "x": 1}
    assert json.loads(found.files["generation_config.json"]) == {"eos_token_id": [2, 5]}
    assert found.files["LICENSE"] == b"as it is"
    assert found.files["tokenizer.json"] == b"new"
    assert "merges.txt" not in found.files


def test_dress_leaves_equal_files_untouched() -> None:
    files = {"config.json": b'{"vocab_size":4}', "generation_config.json": b'{"eos_token_id":2}'}
    same = Aligned({}, 4, {}, {"vocab_size": 4}, {"eos_token_id": 2}).dress(Sidecar(files))
    assert same.files == files
    assert Aligned({}, 4, generation={"eos_token_id": 2}).dress(Sidecar()).files == {}
