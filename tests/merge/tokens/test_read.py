"""Vocabularies from every form in which models bring them, against the real libraries where they read them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deltakit.checkpoint.sidecar import Sidecar
from deltakit.errors import CheckpointError, InputError
from deltakit.merge.tokens.read import is_tokenizer_file, read_vocabulary
from support.vocabularies import CODE, added, bpe, spm, vocabulary


def side(**files: Any) -> Sidecar:
    """Files by name, with dots written as __."""
    return Sidecar(
        {n.replace("__", "."): c if isinstance(c, bytes) else json.dumps(c).encode() for n, c in files.items()}
    )


@pytest.mark.parametrize("text", [bpe(), bpe(CODE, 300), added(bpe(), ["[PAD]", "zork"]), added(bpe(), {"<x>": 295})])
def test_tokenizer_json_is_read_as_the_library_reads_it(text: str) -> None:
    found = read_vocabulary(side(tokenizer__json=text.encode()), "m")
    assert dict(found.ids) == vocabulary(text)
    assert list(found.ids.values()) == sorted(found.ids.values())
    assert found.kind == "BPE"
    assert {"<unk>", "<s>", "</s>"} <= found.added.keys()
    assert found.size == max(found.ids.values()) + 1


@pytest.mark.parametrize("kind", ["WordPiece", "WordLevel", "Unigram"])
def test_other_models_of_tokenizers(kind: str) -> None:
    from tokenizers import Tokenizer, models

    words = ["[UNK]", "the", "##ing", "fox"]
    if kind == "Unigram":
        made = Tokenizer(models.Unigram([(w, -float(i)) for i, w in enumerate(words)], 0))
    else:
        made = Tokenizer(getattr(models, kind)({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    made.add_special_tokens(["[PAD]"])
    found = read_vocabulary(side(tokenizer__json=made.to_str().encode()), "m")
    assert (dict(found.ids), found.kind) == (made.get_vocab(), kind)


def test_files_of_slow_tokenizers() -> None:
    more = {"added_tokens_decoder": {"3": {"content": "<x>", "special": True}, "2": {"content": "<y>"}}}
    found = read_vocabulary(side(vocab__json={"a": 0, "b": 1}, added_tokens__json={"<y>": 2}), "m")
    assert dict(found.ids) == {"a": 0, "b": 1, "<y>": 2}
    found = read_vocabulary(
        side(vocab__json={"a": 0, "b": 1}, added_tokens__json={"<y>": 2}, tokenizer_config__json=more), "m"
    )
    assert dict(found.ids) == {"a": 0, "b": 1, "<y>": 2, "<x>": 3}
    assert found.added["<x>"]["special"] is True
    assert dict(read_vocabulary(side(vocab__txt=b"[PAD]\nthe\n##ing\n"), "m").ids) == {"[PAD]": 0, "the": 1, "##ing": 2}


def test_a_sentencepiece_model_alone() -> None:
    raw = spm(["<unk>", "<s>", "</s>", "▁the"])
    found = read_vocabulary(side(tokenizer__model=raw, added_tokens__json={"[PAD]": 4}), "m")
    assert dict(found.ids) == {"<unk>": 0, "<s>": 1, "</s>": 2, "▁the": 3, "[PAD]": 4}
    shifted = side(spiece__model=raw, tokenizer_config__json={"tokenizer_class": "T5Tokenizer"})
    with pytest.raises(InputError, match="gives the pieces of spiece.model other ids") as caught:
        read_vocabulary(shifted, "m")
    assert "save_pretrained" in caught.value.remedy


def test_what_is_odd_is_said() -> None:
    found = read_vocabulary(side(vocab__json={"a": 0, "b": 1, "c": 1}), "m")
    assert found.shared == ("id 1 is 'b' and 'c'",)
    added_first = read_vocabulary(side(vocab__json={"a": 0, "b": 1}, added_tokens__json={"<y>": 1}), "m")
    assert added_first.tokens[1] == "<y>"


@pytest.mark.parametrize(
    ("files", "error", "says"),
    [
        ({}, InputError, "m has no tokenizer"),
        ({"tokenizer__json": {"model": {}}}, CheckpointError, "no vocabulary that is known"),
        ({"tokenizer__json": {"model": {"vocab": {"a": 0}}, "added_tokens": [{}]}}, CheckpointError, "no vocabulary"),
        ({"tokenizer__json": b"[1]"}, CheckpointError, "expected a JSON object"),
        ({"tokenizer__json": b"{"}, CheckpointError, "m: tokenizer.json"),
        ({"vocab__json": {"a": -1}}, CheckpointError, "'a' has id -1"),
        ({"vocab__json": {"a": "0"}}, CheckpointError, "'a' has id '0'"),
        (
            {"tokenizer__json": {"model": {"vocab": {"a": 0}}, "added_tokens": [{"id": 3, "content": "a"}]}},
            CheckpointError,
            "'a' has id 0 in the vocabulary and 3",
        ),
    ],
)
def test_what_is_refused(files: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        read_vocabulary(side(**files), "m")


def test_which_files_are_the_tokenizers() -> None:
    names = ["tokenizer.json", "tokenizer_config.json", "merges.txt", "chat_template.jinja", "tokenizer.v3.json"]
    assert all(map(is_tokenizer_file, names))
    assert not any(map(is_tokenizer_file, ["config.json", "LICENSE", "generation_config.json"]))
