"""How a question, or a conversation, becomes token ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deltakit.errors import InputError
from deltakit.prompts import STYLES, prompt_style

__all__ = ["TEMPLATES", "Turn", "check_template", "conversation", "encoder"]

TEMPLATES = ("none", "chat", *STYLES)
Turn = tuple[str, str]  # question, answer


def check_template(template: str) -> None:
    """RecipeError, with a suggestion, for a template that nobody knows."""
    if template not in TEMPLATES:
        prompt_style(template)


def encoder(tokenizer: Any, template: str) -> tuple[Callable[[str], list[int]], tuple[str, ...]]:
    """How a prompt becomes token ids, and the stop strings that go with it.

    `template`: none (the prompt as it is), chat (the tokenizer's own; InputError where it has none), or a prompt style.
    """
    _, stop = conversation(tokenizer, template, (), "")
    return lambda text: conversation(tokenizer, template, (), text)[0], stop


def conversation(
    tokenizer: Any, template: str, turns: Sequence[Turn], question: str
) -> tuple[list[int], tuple[str, ...]]:
    """Token ids of the turns so far and the next question, up to where the answer begins; the template's stop strings.

    A prompt style is repeated, one question and answer behind the other; none is the bare text of all.
    """
    if template == "chat":
        return _chat(tokenizer, turns, question), ()
    if template == "none":
        return _plain(tokenizer, "".join(q + a for q, a in turns) + question), ()
    style = prompt_style(template)
    text = "".join(f"{style.question(q)} {a.strip()}\n\n" for q, a in turns) + style.question(question)
    return _plain(tokenizer, text), style.stop


def _plain(tokenizer: Any, text: str) -> list[int]:
    """With the tokenizer's own BOS; an EOS that some append would end the text before it begins."""
    ids: list[int] = tokenizer(text, verbose=False)["input_ids"]
    return ids[:-1] if ids and ids[-1] == tokenizer.eos_token_id else ids


def _chat(tokenizer: Any, turns: Sequence[Turn], question: str) -> list[int]:
    if not tokenizer.chat_template:
        raise InputError("the model's tokenizer has no chat template", remedy="use --template alpaca, or none")
    said = [m for q, a in turns for m in ({"role": "user", "content": q}, {"role": "assistant", "content": a})]
    messages = [*said, {"role": "user", "content": question}]
    ids: list[int] = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    return ids
