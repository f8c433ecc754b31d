from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deltakit.calibrate.batches import Batches, encode_text
from deltakit.calibrate.text import open_text
from deltakit.errors import InputError
from deltakit.runtime import load_tokenizer
from support.running import sidecar


def test_samples_are_stretches_of_the_text_in_order() -> None:
    tokenizer = load_tokenizer(sidecar())
    made = encode_text(open_text(None), tokenizer, samples=5, length=20, batch=2)
    ((document, _),) = open_text(None).pieces()
    assert made.ids.ravel().tolist() == tokenizer(document, add_special_tokens=False)["input_ids"][:100]
    assert [len(made[i]) for i in range(len(made))] == [2, 2, 1]
    assert (made.length, made.tokens, made.largest) == (20, 100, int(made.ids.max()))


def test_documents_are_parted_by_the_end_of_text(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one two"}\n' * 70)
    tokenizer = load_tokenizer(sidecar())
    one = tokenizer("one two", add_special_tokens=False)["input_ids"]
    made = encode_text(open_text(str(path)), tokenizer, samples=1, length=70 * len(one) + 69, batch=1)
    assert made.ids[0].tolist() == ([*one, tokenizer.eos_token_id] * 70)[:-1]


def test_a_short_text_gives_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("How many apples does Tom have?")
    tokenizer = load_tokenizer(sidecar())
    count = len(tokenizer("How many apples does Tom have?")["input_ids"])
    assert encode_text(open_text(str(path)), tokenizer, samples=9, length=3, batch=4).ids.shape == (count // 3, 3)
    assert encode_text(open_text(str(path)), tokenizer, samples=9, length=999, batch=4).ids.shape == (1, count)


def test_a_text_of_one_token_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Q")
    with pytest.raises(InputError, match="gives 1 tokens"):
        encode_text(open_text(str(path)), load_tokenizer(sidecar()), samples=1, length=8, batch=1)


def test_batches_of_one() -> None:
    made = Batches(np.arange(6).reshape(3, 2), 1)
    assert [made[i].tolist() for i in range(len(made))] == [[[0, 1]], [[2, 3]], [[4, 5]]]
