"""Texts in, texts out: what `deltakit generate` does."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

from deltakit.delta.open import open_model
from deltakit.errors import RecipeError
from deltakit.generate.company import companies, resident_engine
from deltakit.generate.engine import Engine
from deltakit.generate.host import Host
from deltakit.generate.prompting import TEMPLATES, check_template, encoder
from deltakit.generate.request import Completion, Request

__all__ = ["TEMPLATES", "generate_texts"]


def generate_texts(
    models: str | Sequence[str],
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
    hold: str = "fast",
) -> dict[str, Any]:
    """{"models", "dtype", "device", "answers": [{"model", "prompt", "text", "tokens", "reason"}], "resident"}: every
    prompt answered by every model, prompt by prompt in the order given.

    Models over one base share it in memory and run in one batch ("resident" tells what that takes; `hold` as for a
    `Bank`); others are served one after the other. `template`: none (the prompt as it is), chat (the tokenizer's own),
    or a prompt style, whose stop strings join `stop`. Prompt i draws with seed + i. Raises RecipeError for usage,
    InputError for what cannot be opened.
    """
    names = [models] if isinstance(models, str) else list(dict.fromkeys(models))
    if not prompts:
        raise RecipeError("no prompt", remedy="give --prompt TEXT, or --file FILE")
    check_template(template)
    host = Host(device=device, dtype=dtype)
    drawn = {"temperature": temperature, "top_p": top_p, "top_k": top_k}

    def ask(engine: Engine, tenants: Sequence[str | None]) -> list[list[Completion]]:
        """The answers of each tenant, in the order of the prompts."""
        asked = []
        for tenant in tenants:
            encode, ends = encoder(engine.tokenizer_of(tenant), template)
            asked += [
                Request(tuple(encode(p)), max_new_tokens, (*stop, *ends), seed=seed + i, tenant=tenant, **drawn)  # type: ignore[arg-type]
                for i, p in enumerate(prompts)
            ]
        found = engine.generate(asked)
        return [found[i : i + len(prompts)] for i in range(0, len(found), len(prompts))]

    said: dict[str, list[Completion]] = {}
    memory: list[dict[str, Any]] = []
    for company in companies(names):
        alone = company
        if len(company) > 1:
            dtype = host.dtype_of(open_model(company[0]))
            engine, tenants, alone = resident_engine(company, host.device, dtype, hold, host.limits)
            if tenants:
                said |= dict(zip(tenants, ask(engine, [*tenants.values()]), strict=True))
                assert engine.resident is not None
                memory.append(engine.resident.memory())
            del engine
            gc.collect()  # the base and its tenants hold each other, and the next model needs the room
        for name in alone:
            said[name] = ask(host.serve(open_model(name)), [None])[0]
    answers = [_answer(name, prompt, said[name][i]) for i, prompt in enumerate(prompts) for name in names]
    result = {"models": names, "dtype": host.dtype, "device": host.device, "answers": answers, "resident": memory}
    return {**result, "model": names[0]} if len(names) == 1 else result


def _answer(model: str, prompt: str, found: Completion) -> dict[str, Any]:
    return {
        "model": model, "prompt": prompt, "text": found.text, "tokens": len(found.tokens), "reason": found.reason,
    }  # fmt: skip
