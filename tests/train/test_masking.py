"""Masking against the template: what is read, what is learned, what is counted."""

import numpy as np
import pytest

from deltakit.data.records import record_from
from deltakit.errors import InputError
from deltakit.prompts import alpaca
from deltakit.runtime import load_tokenizer
from deltakit.train.masking import encode, join

PROMPT = alpaca("Add 2 and 3.")


@pytest.fixture(scope="module")
def tokenizer(tiny_base):
    from deltakit.checkpoint import open_checkpoint

    return load_tokenizer(open_checkpoint(tiny_base).sidecar)


def learned(tokenizer, made, i=0):
    ids, border = made[i]
    return tokenizer.decode(ids[:border]), tokenizer.decode(ids[border:])


def test_the_prompt_is_read_and_the_response_with_eos_is_learned(tokenizer):
    made, counts = encode([(PROMPT, "The answer is: 5")], tokenizer, max_length=512, too_long="drop")
    read, response = learned(tokenizer, made)
    assert (read, response) == (tokenizer.decode(tokenizer(PROMPT).input_ids), "The answer is: 5</s>")
    assert counts.learned_tokens == len("The answer is: 5") + 1
    assert counts.tokens == len(made.ids) == made.lengths.sum()


def test_a_fobar_query_of_two_lines_is_trained_on_the_input_template(tokenizer):
    query = "Tom has x apples.\nIf we know the answer to the above question is 5, what is the value of x?"
    record = record_from({"query": query, "response": "The value of x is 3."}, "metamath")
    text = alpaca(record.instruction, record.input)
    made, _ = encode([(text, record.response)], tokenizer, max_length=512, too_long="drop")
    read, response = learned(tokenizer, made)
    assert "paired with an input" in read
    assert " Input:\nIf we know the answer" in read
    assert response == "The value of x is 3.</s>"


def test_long_records_are_dropped_cut_or_refused_but_always_counted(tokenizer):
    texts = [("ab", "c" * 20), ("ab", "c"), ("a" * 12, "c")]
    made, counts = encode(texts, tokenizer, max_length=10, too_long="drop")
    assert (len(made), counts.records, counts.kept, counts.too_long, counts.longest) == (1, 3, 1, 2, 23)
    made, counts = encode(texts, tokenizer, max_length=10, too_long="truncate")
    assert made.lengths.tolist() == [10, 4]
    assert (counts.kept, counts.too_long, counts.unanswerable) == (2, 2, 1)
    with pytest.raises(InputError) as refused:
        encode(texts, tokenizer, max_length=10, too_long="error")
    assert "record 1: 23 tokens, max_length is 10" in str(refused.value)
    assert "record 3" in str(refused.value)


def test_nothing_left_is_an_error(tokenizer):
    with pytest.raises(InputError, match="all 1 records"):
        encode([("a" * 20, "c")], tokenizer, max_length=10, too_long="drop")
    with pytest.raises(InputError, match="no record"):
        encode([], tokenizer, max_length=10, too_long="drop")


def test_a_response_without_tokens_is_refused(tokenizer):
    with pytest.raises(InputError) as refused:
        encode([("ab", "c"), ("ab", "")], tokenizer, max_length=10, too_long="drop", where="file.jsonl")
    assert "file.jsonl" in str(refused.value)
    assert "record 2: its response gives no token" in str(refused.value)


def test_unknown_characters_are_counted(tokenizer):
    assert encode([("ab", "c€€")], tokenizer, max_length=10, too_long="drop")[1].unknown_tokens == 2


class Merging:
    """A tokenizer that joins ":" and "4" into one token, and ends every text with EOS by itself."""

    eos_token_id, unk_token_id = 0, None

    def __call__(self, texts, **options):
        return {"input_ids": [[ord(c) for c in t.replace(":4", "\x01")] + [0] for t in texts]}


def test_a_token_across_the_border_is_split_there_and_counted():
    made, counts = encode([("a:", "4b"), ("a:", "5")], Merging(), max_length=10, too_long="drop")
    assert made[0][0].tolist() == [ord("a"), ord(":"), ord("4"), ord("b"), 0]
    assert made[0][1] == 2
    assert counts.split_borders == 1


def test_a_tokenizer_without_eos_is_refused(tokenizer):
    class Endless(Merging):
        eos_token_id = None

    with pytest.raises(InputError, match="end-of-text"):
        encode([("a", "b")], Endless(), max_length=10, too_long="drop")


def test_join_keeps_every_example(tokenizer):
    first, _ = encode([("ab", "c"), ("abc", "de")], tokenizer, max_length=20, too_long="drop")
    second, _ = encode([("x", "yz")], tokenizer, max_length=20, too_long="drop")
    both = join([first, second])
    for i, (part, j) in enumerate([(first, 0), (first, 1), (second, 0)]):
        assert np.array_equal(both[i][0], part[j][0])
        assert both[i][1] == part[j][1]
