"""The choice of a vocabulary is read as strictly as the rest of a recipe."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from deltakit.errors import RecipeError
from deltakit.merge.tokens.choice import FromToken, TokenizerChoice, Zero, tokenizer_choice
from deltakit.recipe import make_recipe


def test_every_form_of_mergekits_key() -> None:
    tokens = {
        "<a>": {"source": "math"},
        "<b>": {"source": {"kind": "zero"}, "force": True},
        "<c>": {"source": {"kind": "model_token", "model": "chat", "token": "<s>"}},
        "<d>": {"source": {"kind": "model_token", "model": "chat", "token_id": 7}},
        "<e>": {"force": True},
    }
    found = tokenizer_choice(None, {"source": "base", "tokens": tokens, "pad_to_multiple_of": 8})
    assert found is not None
    assert (found.source, found.pad_to_multiple_of) == ("base", 8)
    assert found.tokens is not None
    assert found.tokens["<b>"].source == Zero(kind="zero")
    assert found.tokens["<d>"].source == FromToken(kind="model_token", model="chat", token_id=7)
    assert found.tokens["<e>"].source is None


def test_the_short_key_and_none_at_all() -> None:
    assert tokenizer_choice("union", None) == TokenizerChoice(source="union")
    assert tokenizer_choice(None, {}) == TokenizerChoice(source="union")
    assert tokenizer_choice(None, None) is None


@pytest.mark.parametrize(
    "given",
    [
        {"pad_to_multiple_of": 0},
        {"source": ""},
        {"tokens": {"<a>": {"source": {"kind": "one"}}}},
        {"tokens": {"<a>": {"source": {"kind": "model_token", "model": "m"}}}},
        {"tokens": {"<a>": {"source": {"kind": "model_token", "model": "m", "token": "x", "token_id": 1}}}},
        {"tokens": {"<a>": {"sourcee": "m"}}},
        {"unknown": 1},
    ],
)
def test_what_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        tokenizer_choice(None, given)
    with pytest.raises(RecipeError):
        make_recipe(given, TokenizerChoice)
