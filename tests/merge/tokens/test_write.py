"""Tokenizer files of the result, read back by the real library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deltakit.errors import InputError
from deltakit.merge.tokens import TokenizerChoice, align
from deltakit.merge.tokens.aligned import Aligned
from support.vocabularies import ENGLISH, added, bpe, by_label, model, vocabulary


def union(*models: Any) -> Aligned:
    first = models[0].label
    return align(by_label(*models), TokenizerChoice.model_validate({}), base=first, donor=first)


def loaded(made: Aligned) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_str(made.files["tokenizer.json"].decode())


def small(kind: str, words: dict[str, int]) -> str:
    """A tokenizer.json of another kind of model."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    if kind == "Unigram":
        made = Tokenizer(models.Unigram([(w, -1.0 - i) for w, i in words.items()], 0))
    else:
        made = Tokenizer(getattr(models, kind)(words, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return str(made.to_str())


WORDS = {"<unk>": 0, "<s>": 1, "</s>": 2, "fox": 3, "do": 4, "##g": 5}


def test_merges_that_go_on_from_the_bases_are_taken(tmp_path: Path) -> None:
    longer = json.loads(bpe())
    vocab, merges = longer["model"]["vocab"], longer["model"]["merges"]
    new = [["Ġ", "qu"], ["Ġqu", "ick"]]
    assert all(part in vocab for part in ("Ġ", "qu", "ick"))
    for i, pair in enumerate(new):
        vocab["".join(pair)] = 290 + i
    longer["model"]["merges"] = [*merges, *new]
    text = json.dumps(longer)
    made = union(model(tmp_path / "base", bpe()), model(tmp_path / "more", text, seed=2))
    assert vocabulary(made.files["tokenizer.json"].decode()) == vocabulary(text)
    from tokenizers import Tokenizer

    donor = Tokenizer.from_str(text)
    for line in ENGLISH:
        assert loaded(made).encode(line).ids == donor.encode(line).ids
    assert 291 in loaded(made).encode("the quick").ids
    assert made.report["unreachable"] == []
    assert "the merges of more go on from the base's, and are taken" in made.notes


@pytest.mark.parametrize("kind", ["WordPiece", "WordLevel"])
def test_words_are_held_by_the_model(tmp_path: Path, kind: str) -> None:
    more = {**WORDS, "lazy": 6, "dog": 7}
    made = union(model(tmp_path / "base", small(kind, WORDS)), model(tmp_path / "more", small(kind, more)))
    assert loaded(made).get_vocab() == more
    assert loaded(made).encode("lazy fox").tokens == ["lazy", "fox"]
    assert any("texts may be split otherwise" in n for n in made.notes)


def test_unigram_pieces_become_whole_words(tmp_path: Path) -> None:
    more = {**WORDS, "lazy": 6}
    made = union(model(tmp_path / "base", small("Unigram", WORDS)), model(tmp_path / "more", small("Unigram", more)))
    assert loaded(made).get_vocab() == more
    assert loaded(made).encode("lazy fox").tokens == ["lazy", "fox"]
    assert any("matched as whole words" in n for n in made.notes)


def test_flags_of_added_tokens_are_the_first_models(tmp_path: Path) -> None:
    made = union(
        model(tmp_path / "base", bpe()),
        model(tmp_path / "a", added(bpe(), ["[PAD]"], special=True)),
        model(tmp_path / "b", added(bpe(), ["zork", "[PAD]"], special=False)),
    )
    entries = {e["content"]: e for e in json.loads(made.files["tokenizer.json"])["added_tokens"]}
    assert (entries["[PAD]"]["special"], entries["zork"]["special"]) == (True, False)
    assert (entries["[PAD]"]["id"], entries["zork"]["id"]) == (290, 291)


def test_other_lists_of_added_tokens_follow(tmp_path: Path) -> None:
    decoder = {"added_tokens_decoder": {"0": {"content": "<unk>", "special": True}}}
    files = {"tokenizer_config.json": json.dumps(decoder).encode(), "added_tokens.json": b"{}"}
    made = union(model(tmp_path / "base", bpe(), files=files), model(tmp_path / "a", added(bpe(), ["[PAD]"])))
    assert json.loads(made.files["added_tokens.json"]) == {"[PAD]": 290}
    config = json.loads(made.files["tokenizer_config.json"])
    assert config["added_tokens_decoder"]["290"] == {
        "content": "[PAD]", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
        "special": True,
    }  # fmt: skip


def test_adding_needs_a_tokenizer_json(tmp_path: Path) -> None:
    base = model(
        tmp_path / "base", bpe(), files={"vocab.json": json.dumps(json.loads(bpe())["model"]["vocab"]).encode()}
    )
    (tmp_path / "base" / "tokenizer.json").unlink()
    from deltakit.merge.sources.source import open_source

    with pytest.raises(InputError, match="there is no tokenizer.json") as caught:
        union(open_source("base", base.text), model(tmp_path / "a", added(bpe(), ["[PAD]"])))
    assert "save one" in caught.value.remedy
