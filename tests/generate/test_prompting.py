"""Questions and conversations as token ids. Run: pytest tests/generate/test_prompting.py"""

from __future__ import annotations

from typing import Any

import pytest

from deltakit.errors import InputError, RecipeError
from deltakit.generate.prompting import check_template, conversation, encoder
from deltakit.prompts import prompt_style
from support.fleet import CHAT
from support.running import running


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return running()[1]


def text(tokenizer: Any, ids: list[int]) -> str:
    return str(tokenizer.decode(ids))


def test_a_conversation_repeats_the_style(tokenizer: Any) -> None:
    ids, stop = conversation(tokenizer, "qa", [("one?", " 1"), ("two?", "2 ")], "three?")
    assert text(tokenizer, ids) == "Question: one?\nAnswer: 1\n\nQuestion: two?\nAnswer: 2\n\nQuestion: three?\nAnswer:"
    assert stop == prompt_style("qa").stop


def test_bare_text_runs_on(tokenizer: Any) -> None:
    ids, stop = conversation(tokenizer, "none", [("one", " two")], " three")
    assert (text(tokenizer, ids), stop) == ("one two three", ())


def test_the_tokenizers_own_template(tokenizer: Any) -> None:
    with pytest.raises(InputError, match="no chat template"):
        encoder(tokenizer, "chat")
    tokenizer.chat_template = CHAT
    ids, _ = conversation(tokenizer, "chat", [("a", "b")], "c")
    assert text(tokenizer, ids) == "[a][b][c]>"
    tokenizer.chat_template = None


def test_an_encoder_is_a_conversation_of_one_question(tokenizer: Any) -> None:
    encode, stop = encoder(tokenizer, "alpaca")
    assert (encode("one"), stop) == conversation(tokenizer, "alpaca", [], "one")


def test_unknown_templates_get_a_suggestion() -> None:
    check_template("chat")
    with pytest.raises(RecipeError, match="alpca"):
        check_template("alpca")
