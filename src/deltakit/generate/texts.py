"""Texts in, texts out: what `deltakit generate` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deltakit.delta.open import open_model
from deltakit.errors import InputError, RecipeError
from deltakit.generate.engine import Engine
from deltakit.generate.host import Host
from deltakit.generate.request import Request
from deltakit.prompts import STYLES, prompt_style

__all__ = ["TEMPLATES", "generate_texts"]

TEMPLATES = ("none", "chat", *STYLES)


def generate_texts(
    model: str,
    prompts: Sequence[str],
    *,
    template: str = "none",
    max_new_tokens: int = 256,
    stop: Sequence[str] = (),
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    seed: int = 0,
    device: str = "auto",
    dtype: str = "auto",
) -> dict[str, Any]:
    """{"model", "dtype", "device", "answers": [{"prompt", "text", "tokens", "reason"}]} in the order of `prompts`.

    `template`: none (the prompt as it is), chat (the tokenizer's own), or a prompt style, whose stop strings join
    `stop`. Prompt i draws with seed + i. Raises RecipeError for usage, InputError for what cannot be opened.
    """
    if not prompts:
        raise RecipeError("no prompt", remedy="give --prompt TEXT, or --file FILE")
    if template not in TEMPLATES:
        prompt_style(template)  # raises, with a suggestion
    host = Host(device=device, dtype=dtype)
    engine = host.serve(open_model(model))
    encode, ends = _encoder(engine, template)
    drawn = {"temperature": temperature, "top_p": top_p, "top_k": top_k}
    asked = [
        Request(tuple(encode(prompt)), max_new_tokens, (*stop, *ends), seed=seed + i, **drawn)  # type: ignore[arg-type]
        for i, prompt in enumerate(prompts)
    ]
    answers = [
        {"prompt": prompt, "text": found.text, "tokens": len(found.tokens), "reason": found.reason}
        for prompt, found in zip(prompts, engine.generate(asked), strict=True)
    ]
    return {"model": model, "dtype": host.dtype, "device": host.device, "answers": answers}


def _encoder(engine: Engine, template: str) -> tuple[Callable[[str], list[int]], tuple[str, ...]]:
    """How a prompt becomes token ids, and the stop strings that go with it."""
    tokenizer = engine.tokenizer
    if template == "chat":
        if not tokenizer.chat_template:
            raise InputError("the model's tokenizer has no chat template", remedy="use --template alpaca, or none")
        return lambda text: _chat(tokenizer, text), ()
    if template == "none":
        return lambda text: _plain(tokenizer, text), ()
    style = prompt_style(template)
    return lambda text: _plain(tokenizer, style.question(text)), style.stop


def _plain(tokenizer: Any, text: str) -> list[int]:
    """With the tokenizer's own BOS; an EOS that some append would end the text before it begins."""
    ids: list[int] = tokenizer(text, verbose=False)["input_ids"]
    return ids[:-1] if ids and ids[-1] == tokenizer.eos_token_id else ids


def _chat(tokenizer: Any, text: str) -> list[int]:
    message = [{"role": "user", "content": text}]
    ids: list[int] = tokenizer.apply_chat_template(message, add_generation_prompt=True, return_dict=False)
    return ids
