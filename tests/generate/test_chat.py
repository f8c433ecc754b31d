"""Conversations. Run: pytest tests/generate/test_chat.py"""

from __future__ import annotations

import pytest

from deltakit.delta.open import open_model
from deltakit.errors import InputError, RecipeError
from deltakit.generate import Host, Request
from deltakit.generate.chat import open_chat
from support.fleet import fleet


def test_answers_follow_from_all_turns_so_far() -> None:
    chat = open_chat(fleet().models[2], {}, max_new_tokens=5, device="cpu")
    first, second = chat.say("one"), chat.say("two")
    engine = Host(device="cpu").serve(open_model(fleet().models[2]))
    for found, asked in ((first, "[one]>"), (second, f"[one][{first.text}][two]>")):
        assert engine.generate([Request(tuple(engine.tokenizer(asked)["input_ids"]), 5)]) == [found]
    chat.reset()
    assert chat.say("one") == first


def test_tenants_go_on_with_the_conversation_in_their_own_words() -> None:
    one = fleet()
    tenants = {"math": f"{one.base} + {one.math}", "chat": f"{one.base} + {one.chat}"}
    chat = open_chat(str(one.base), tenants, max_new_tokens=4, device="cpu")
    said = chat.say("one")
    chat.switch("chat")
    told = chat.say("two")
    apart = Host(device="cpu").serve(open_model(tenants["chat"]))
    asked = f"[one][{said.text}][two]>"  # only chat has a template
    assert apart.generate([Request(tuple(apart.tokenizer(asked)["input_ids"]), 4)]) == [told]
    with pytest.raises(InputError, match="no tenant 'code'"):
        chat.switch("code")
    assert chat.speaker == "chat"


def test_an_expression_talks_beside_its_tenants() -> None:
    one = fleet()
    chat = open_chat(one.models[3], {"math": one.models[1]}, max_new_tokens=4, device="cpu")
    alone = open_chat(one.models[3], {}, max_new_tokens=4, device="cpu")
    assert chat.say("one") == alone.say("one")


def test_the_oldest_turns_go_when_the_context_is_full() -> None:
    chat = open_chat(str(fleet().base), {}, max_new_tokens=8, device="cpu", template="none")
    room = chat.engine.context
    chat.say("a" * (room // 2))
    assert chat.dropped == 0
    chat.say("b" * (room // 2))
    assert chat.dropped == 1
    assert len(chat.turns) == 1
    with pytest.raises(InputError, match="do not fit"):
        chat.say("c" * room)


def test_a_wrong_template_is_told_before_anything_is_opened() -> None:
    with pytest.raises(RecipeError, match="alpca"):
        open_chat("nowhere", {}, template="alpca")
