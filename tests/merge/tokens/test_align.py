"""Models brought to one vocabulary: every row against a dictionary of tokens, and texts through real tokenizers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deltakit.errors import InputError, MismatchError, RecipeError
from deltakit.merge.sources.source import Source
from deltakit.merge.tokens import REPORT_NAME, TokenizerChoice, align
from deltakit.merge.tokens.aligned import Aligned
from support.vocabularies import CODE, ENGLISH, TABLES, added, bpe, by_label, model, table, vocabulary

Rows = dict[str, dict[str, Any]]  # model -> token -> row


def choose(source: str = "union", **more: Any) -> TokenizerChoice:
    return TokenizerChoice.model_validate({"source": source, **more})


@pytest.fixture
def models(tmp_path: Path) -> dict[str, Source]:
    """The base, and fine-tunes that added different tokens."""
    return by_label(
        model(tmp_path / "base", bpe(), seed=1),
        model(tmp_path / "math", added(bpe(), ["[PAD]", "<|im|>"]), seed=2),
        model(tmp_path / "chat", added(bpe(), ["[PAD]", "zork"]), seed=3),
    )


def tokens_of(source: Source) -> dict[str, int]:
    return vocabulary(source.sidecar.files["tokenizer.json"].decode())


def oracle(models: dict[str, Source], base: str, ids: dict[str, int], name: str) -> Rows:
    """mergekit's rule, token by token: own, the base's, the only donor's, the mean of the donors, else the mean of all
    of the model's own."""
    rows = {m: {t: table(s, name)[i] for t, i in tokens_of(s).items()} for m, s in models.items()}
    seen: Rows = {m: {} for m in models}
    for token in ids:
        donors = [rows[m][token] for m in models if token in rows[m]]
        for label, own in rows.items():
            mean = table(models[label], name).astype(np.float64).mean(0).astype(np.float32)
            default = rows[base].get(token, np.mean(donors, axis=0) if donors else mean)
            seen[label][token] = own.get(token, default)
    return seen


def check(made: Aligned, models: dict[str, Source], base: str = "base") -> dict[str, int]:
    """Every row of every model is the oracle's; the ids are those of the written tokenizer."""
    ids = vocabulary(made.files["tokenizer.json"].decode())
    for name in TABLES:
        expected = oracle(models, base, ids, name)
        for label, source in made.sources.items():
            found = table(source, name)
            assert found.shape[0] == made.rows
            for token, i in ids.items():
                assert np.allclose(found[i], expected[label][token], atol=1e-6), (label, token)
    return ids


def test_union_of_models_that_added_different_tokens(models: dict[str, Source]) -> None:
    made = align(models, choose(), base="base", donor="base")
    ids = check(made, models)
    assert {t: i for t, i in ids.items() if i >= 290} == {"[PAD]": 290, "<|im|>": 291, "zork": 292}
    assert made.rows == 293
    assert made.config == {"vocab_size": 293}
    pad = [table(models[m])[290] for m in ("math", "chat")]
    assert np.array_equal(table(made.sources["base"])[290], np.mean(pad, axis=0))


def test_the_bases_vocabulary_leaves_the_base_as_it_is(models: dict[str, Source]) -> None:
    made = align(models, choose("base"), base="base", donor="base")
    check(made, models)
    assert made.sources["base"] is models["base"]
    assert made.rows == 290
    own = models["base"].sidecar.files
    assert {n: made.files[n] for n in ("tokenizer.json", "tokenizer_config.json")} == {
        n: own[n] for n in ("tokenizer.json", "tokenizer_config.json")
    }
    assert made.config == {}


def test_a_models_vocabulary_is_copied_byte_for_byte(models: dict[str, Source]) -> None:
    made = align(models, choose("chat"), base="base", donor="base")
    check(made, models)
    assert made.files["tokenizer.json"] == models["chat"].sidecar.files["tokenizer.json"]
    assert made.config == {"vocab_size": 292}
    assert made.sources["chat"] is models["chat"]


def test_models_may_be_named_by_what_they_were_opened_from(models: dict[str, Source]) -> None:
    tokens = {"[PAD]": {"source": models["chat"].text}}
    made = align(models, choose(models["math"].text, tokens=tokens), base="base", donor="base")
    assert np.array_equal(table(made.sources["base"])[290], table(models["chat"])[290])
    assert np.array_equal(table(made.sources["math"])[290], table(models["math"])[290])


def test_two_bpe_vocabularies(tmp_path: Path) -> None:
    models = by_label(model(tmp_path / "base", bpe(), seed=1), model(tmp_path / "code", bpe(CODE, 300), seed=2))
    made = align(models, choose(), base="base", donor="base")
    ids = check(made, models)
    assert set(ids) == set(tokens_of(models["base"])) | set(tokens_of(models["code"]))
    from tokenizers import Tokenizer

    union = Tokenizer.from_str(made.files["tokenizer.json"].decode())
    base = Tokenizer.from_str(models["base"].sidecar.files["tokenizer.json"].decode())
    for text in (*ENGLISH, *CODE, "<s>running numpy</s> über 你好"):
        assert union.encode(text).ids == base.encode(text).ids
        assert union.decode(union.encode(text).ids) == base.decode(base.encode(text).ids)
    assert len(made.report["unreachable"]) == len(ids) - 290
    assert any("cannot be unified" in n for n in made.notes)


def test_two_bpe_vocabularies_that_both_added_tokens(tmp_path: Path) -> None:
    models = by_label(
        model(tmp_path / "base", added(bpe(), ["[PAD]"]), seed=1),
        model(tmp_path / "code", added(bpe(CODE, 300), ["<|im|>", "[PAD]"]), seed=2),
    )
    made = align(models, choose(), base="base", donor="base")
    ids = check(made, models)  # the library finds every token at its id, added before and after the pieces
    assert ids["[PAD]"] == 290
    assert sorted(ids.values()) == list(range(made.rows))
    from tokenizers import Tokenizer

    union = Tokenizer.from_str(made.files["tokenizer.json"].decode())
    assert union.encode("fox[PAD] fox<|im|>").ids[-1] == ids["<|im|>"]


def test_added_tokens_of_any_model_are_one_token_in_the_union(models: dict[str, Source]) -> None:
    from tokenizers import Tokenizer

    made = align(models, choose(), base="base", donor="base")
    union = Tokenizer.from_str(made.files["tokenizer.json"].decode())
    for label in ("math", "chat"):
        donor = Tokenizer.from_str(models[label].sidecar.files["tokenizer.json"].decode())
        text = "the fox [PAD]jumps<|im|> zork" if label == "math" else "hello[PAD] zork."
        if label == "math":
            text = text.replace(" zork", "")
        assert union.encode(text).tokens == donor.encode(text).tokens
    assert union.decode(union.encode("hello zork world").ids, skip_special_tokens=False) == "hello zork world"


def test_padding_is_kept(tmp_path: Path) -> None:
    models = by_label(
        model(tmp_path / "base", bpe(), seed=1, rows=320),
        model(tmp_path / "math", added(bpe(), ["[PAD]"]), seed=2, rows=320),
        model(tmp_path / "short", bpe(), seed=3, rows=300),
    )
    made = align(models, choose("base"), base="base", donor="base")
    assert made.rows == 320
    assert made.sources["base"] is models["base"]
    math, short = table(made.sources["math"]), table(made.sources["short"])
    assert np.array_equal(math[290], table(models["base"])[290])  # there its row is a token's, not padding
    assert np.array_equal(math[291:], table(models["math"])[291:])
    assert np.array_equal(short, np.concatenate([table(models["short"]), table(models["base"])[300:]]))
    union = align(models, choose(), base="base", donor="base")
    assert union.rows == 320
    assert union.config == {}
    assert vocabulary(union.files["tokenizer.json"].decode())["[PAD]"] == 290
    assert np.array_equal(table(union.sources["math"]), table(models["math"]))


def test_a_longer_padding_of_a_model_is_kept_by_the_union(tmp_path: Path) -> None:
    models = by_label(model(tmp_path / "base", bpe(), seed=1), model(tmp_path / "math", bpe(), seed=2, rows=304))
    made = align(models, choose(), base="base", donor="base")
    assert made.rows == 304
    assert np.array_equal(table(made.sources["base"])[290:], table(models["math"])[290:])
    assert align(models, choose("base"), base="base", donor="base").rows == 290


def test_rows_up_to_a_multiple_are_means_of_the_models_own(models: dict[str, Source]) -> None:
    made = align(models, choose(pad_to_multiple_of=64), base="base", donor="base")
    assert made.rows == 320
    assert made.config == {"vocab_size": 320}
    for label, source in models.items():
        expected = table(source).astype(np.float64).mean(0)
        assert np.allclose(table(made.sources[label])[293:], expected, atol=1e-7)


def test_a_pad_token_that_no_model_has_a_row_for(tmp_path: Path) -> None:
    """A tokenizer got [PAD], and nobody resized the embedding: MergeLM's mean of all rows."""
    models = by_label(model(tmp_path / "base", added(bpe(), ["[PAD]"]), seed=1, rows=290),
                      model(tmp_path / "math", bpe(), seed=2))  # fmt: skip
    made = align(models, choose("base"), base="base", donor="base")
    assert made.rows == 291
    for label, source in models.items():
        assert np.allclose(table(made.sources[label])[290], table(source).astype(np.float64).mean(0), atol=1e-7)
    assert any("have no row in its embedding" in n for n in made.notes)


def test_holes_keep_their_rows(tmp_path: Path) -> None:
    """Ids 290 to 294 are nobody's, 295 is a token."""
    models = by_label(
        model(tmp_path / "base", added(bpe(), {"<late>": 295}), seed=1),
        model(tmp_path / "math", added(bpe(), {"<late>": 295, "<new>": 299}), seed=2),
    )
    made = align(models, choose(), base="base", donor="base")
    ids = check(made, models)
    assert (ids["<late>"], ids["<new>"]) == (295, 296)
    assert made.rows == 300  # as many as the longest model
    for label, source in models.items():
        assert np.array_equal(table(made.sources[label])[290:296], table(source)[290:296])


def test_single_tokens_take_their_rows_from_where_the_recipe_says(models: dict[str, Source]) -> None:
    def rows(**tokens: Any) -> list[Any]:
        made = align(models, choose(tokens={"[PAD]": tokens}), base="base", donor="base")
        return [table(made.sources[m])[290] for m in ("base", "math", "chat")]

    math, chat = (table(models[m]) for m in ("math", "chat"))
    zero = np.zeros(16, np.float32)

    def same(found: list[Any], expected: list[Any]) -> bool:
        return all(map(np.array_equal, found, expected))

    assert same(rows(source="chat"), [chat[290], math[290], chat[290]])
    assert same(rows(source="chat", force=True), [chat[290]] * 3)
    assert same(rows(source={"kind": "zero"}), [zero, math[290], chat[290]])
    assert same(rows(source={"kind": "zero"}, force=True), [zero] * 3)
    a = tokens_of(models["math"])["a"]
    by_text = {"kind": "model_token", "model": "math", "token": "a"}
    assert same(rows(source=by_text), [math[a], math[290], chat[290]])
    by_id = {"kind": "model_token", "model": "math", "token_id": 5}
    assert same(rows(source=by_id, force=True), [math[5]] * 3)
    assert same(rows(force=True), [(math[290] + chat[290]) / 2] * 3)


def test_a_token_that_only_the_recipe_names_is_added(models: dict[str, Source]) -> None:
    tokens = {"<new>": {"source": {"kind": "zero"}}, "[PAD]": {"source": "chat"}}
    made = align(models, choose("base", tokens=tokens), base="base", donor="base")
    ids = vocabulary(made.files["tokenizer.json"].decode())
    assert (ids["<new>"], ids["[PAD]"], made.rows) == (290, 291, 292)
    assert not table(made.sources["math"])[290].any()
    assert np.array_equal(table(made.sources["math"])[291], table(models["math"])[290])


def test_without_a_base_missing_rows_are_the_donors(models: dict[str, Source]) -> None:
    both = {m: models[m] for m in ("math", "chat")}
    made = align(both, choose(), donor="math")
    assert np.array_equal(table(made.sources["chat"])[291], table(models["math"])[291])
    assert made.report["ids_of"] == "math"


def test_ids_of_special_tokens_move_with_their_tokens(tmp_path: Path) -> None:
    moved = json.loads(bpe())
    swap = {1: 2, 2: 1}
    for entry in moved["added_tokens"]:
        entry["id"] = swap.get(entry["id"], entry["id"])
    moved["model"]["vocab"] = {t: swap.get(i, i) for t, i in moved["model"]["vocab"].items()}
    generation = {"generation_config.json": b'{"eos_token_id": [2], "temperature": 0.5}'}
    models = by_label(
        model(tmp_path / "base", bpe(), seed=1, files=generation),
        model(tmp_path / "math", json.dumps(moved), seed=2, bos_token_id=None, eos_token_id=1),
    )
    made = align(models, choose("math"), base="base", donor="base")
    dressed = made.dress(models["base"].sidecar)
    assert dressed.config is not None
    assert (dressed.config["bos_token_id"], dressed.config["eos_token_id"]) == (2, 1)
    assert json.loads(dressed.files["generation_config.json"]) == {"eos_token_id": [1], "temperature": 0.5}


def test_tokenizer_files_of_two_models_are_never_mixed(tmp_path: Path) -> None:
    models = by_label(
        model(tmp_path / "base", bpe(), files={"merges.txt": b"old", "special_tokens_map.json": b"{}"}),
        model(tmp_path / "math", added(bpe(), ["[PAD]"]), seed=2),
    )
    dressed = align(models, choose("math"), base="base", donor="base").dress(models["base"].sidecar)
    assert "merges.txt" not in dressed.files
    assert "special_tokens_map.json" not in dressed.files
    assert dressed.files["tokenizer.json"] == models["math"].sidecar.files["tokenizer.json"]


def test_transformers_loads_the_result(models: dict[str, Source]) -> None:
    from deltakit.runtime.tokenizer import load_tokenizer

    made = align(models, choose(), base="base", donor="base", chat_template="chatml")
    loaded = load_tokenizer(made.dress(models["base"].sidecar))
    assert len(loaded) == 293
    assert loaded.convert_tokens_to_ids(["[PAD]", "<|im|>", "zork"]) == [290, 291, 292]
    text = loaded.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False, add_generation_prompt=True)
    assert text == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


def test_tied_and_untied_without_a_choice(tmp_path: Path) -> None:
    models = by_label(model(tmp_path / "tied", bpe(), seed=1, tied=True), model(tmp_path / "untied", bpe(), seed=2))
    made = align(models, None, donor="tied")
    assert np.array_equal(table(made.sources["tied"], "lm_head.weight"), table(models["tied"]))
    assert made.config == {"tie_word_embeddings": False}
    assert made.sources["untied"] is models["untied"]
    assert REPORT_NAME not in made.files
    assert made.files["tokenizer.json"] == bpe().encode()


def test_tied_heads_grow_with_the_embedding(tmp_path: Path) -> None:
    models = by_label(
        model(tmp_path / "tied", bpe(), seed=1, tied=True),
        model(tmp_path / "untied", added(bpe(), ["[PAD]"]), seed=2),
    )
    made = align(models, choose(), base="tied", donor="tied")
    head = table(made.sources["tied"], "lm_head.weight")
    assert np.array_equal(head[:290], table(models["tied"]))
    assert np.array_equal(head[290], table(models["untied"], "lm_head.weight")[290])
    assert made.config == {"vocab_size": 291, "tie_word_embeddings": False}


def test_a_model_without_a_tokenizer_has_the_bases_if_it_has_its_rows(tmp_path: Path) -> None:
    models = by_label(model(tmp_path / "base", bpe()), model(tmp_path / "math", bpe(), seed=2))
    (tmp_path / "math" / "tokenizer.json").unlink()
    from deltakit.merge.sources.source import open_source

    models["math"] = open_source("math", str(tmp_path / "math"))
    made = align(models, choose(), base="base", donor="base")
    assert "math: has no tokenizer, and is taken to have that of base" in made.notes
    with pytest.raises(InputError, match="math has no tokenizer"):
        align(models, choose("math"), donor="base")


@pytest.mark.parametrize(
    ("choice", "error", "says"),
    [
        (choose("mtah"), RecipeError, "neither union nor base"),
        (choose(tokens={"a": {"source": "nobody"}}), RecipeError, "no model of the merge"),
        (choose(tokens={"zork": {"source": "math"}}), RecipeError, "math has no row for 'zork'"),
        (choose(tokens={"a": {}}), RecipeError, "give a source, or force"),
        (
            choose(tokens={"a": {"source": {"kind": "model_token", "model": "math", "token_id": 999}}}),
            RecipeError,
            "no row for id 999",
        ),
    ],
)
def test_what_is_refused(models: dict[str, Source], choice: TokenizerChoice, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        align(models, choice, base="base", donor="base")


def test_models_of_another_width_are_refused(tmp_path: Path) -> None:
    models = by_label(model(tmp_path / "base", bpe()), model(tmp_path / "wide", bpe(), seed=2, width=32))
    with pytest.raises(MismatchError, match="embeddings do not fit together") as caught:
        align(models, choose(), base="base", donor="base")
    assert any("wide: lm_head.weight is [290, 32]" in d for d in caught.value.details)


def test_a_foreign_tokenizer_is_refused(tmp_path: Path) -> None:
    models = by_label(model(tmp_path / "base", bpe()), model(tmp_path / "math", bpe(), seed=2, rows=100))
    with pytest.raises(MismatchError, match="does not fit its model") as caught:
        align(models, choose(), base="base", donor="base")
    assert caught.value.details == ("math: 190 of 290 tokens have no row",)
