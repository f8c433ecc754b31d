"""From lm-eval's instances to what our decoder is asked: prompt and generation_kwargs become a play of requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lm_eval.models.utils import normalize_gen_kwargs

from deltakit import rng
from deltakit.errors import RecipeError
from deltakit.generate import Request
from deltakit.generate.backend import Pair
from deltakit.generate.modes import MODES
from deltakit.generate.play import Ask, Play, Weigh
from deltakit.grade.thinking import opened_thought
from deltakit.registry import did_you_mean

__all__ = ["DEFAULT_NEW", "Encode", "ask_of", "pair_of", "play_of", "request_of"]

DEFAULT_NEW = 256  # what lm-eval's own backends take where a task says nothing
_KNOWN = ["until", "max_gen_toks", "do_sample", "temperature", "top_p", "top_k", "mode"]
Encode = Callable[[str], Sequence[int]]  # a text's token ids with the special tokens before it, none behind it


def ask_of(
    context: str, settings: Mapping[str, Any], *, seed: int = 0, repeat: int = 0, max_new_tokens: int | None = None
) -> Ask:
    """A task's request as ours. `settings` are its generation_kwargs; an unknown one is a RecipeError.

    A drawn answer's seed follows from the run's seed, the prompt, and which `repeat` of it this is: never from what
    else is in the batch. `max_new_tokens` stands in for the task's own.
    """
    given = normalize_gen_kwargs(dict(settings), DEFAULT_NEW)
    for name in sorted(given.keys() - set(_KNOWN)):
        raise RecipeError(f"generation_kwargs has no {name!r} here", remedy=did_you_mean(name, _KNOWN))
    draws = bool(given["do_sample"])
    return Ask(
        prompt=context,
        max_new_tokens=max_new_tokens or int(given["max_gen_toks"]),
        stop=tuple(s for s in given["until"] if s),
        temperature=float(given.get("temperature", 1.0)) if draws else 0.0,
        top_p=float(given.get("top_p", 1.0)) if draws else 1.0,
        top_k=int(given.get("top_k", 0)) if draws else 0,
        seed=rng.key(seed, "eval", f"{context}\0{repeat}"),
    )


def play_of(
    context: str, settings: Mapping[str, Any], *, seed: int = 0, repeat: int = 0, max_new_tokens: int | None = None
) -> Play:
    """The way to one answer, in the mode that the task names by `generation_kwargs: {mode: ...}` (else direct).

    A thought that the prompt opens is opened in the text too, so that the text alone tells where it ends.
    """
    ask = ask_of(context, settings, seed=seed, repeat=repeat, max_new_tokens=max_new_tokens)
    return _reopened(MODES.parse(str(settings.get("mode", "direct"))).play(ask), opened_thought(context))


def _reopened(play: Play, opening: str) -> Play:
    text = yield from play
    return opening + text


def request_of(ask: Ask, encode: Encode, tenant: str | None = None) -> Request:
    """What the decoder is asked; `encode` gives the prompt's token ids, at least one."""
    return Request(
        prompt=tuple(encode(ask.prompt)),
        max_new_tokens=ask.max_new_tokens,
        stop=ask.stop,
        temperature=ask.temperature,
        top_p=ask.top_p,
        top_k=ask.top_k,
        seed=ask.seed if ask.temperature else 0,  # a greedy answer has none
        tenant=tenant,
    )


def pair_of(weigh: Weigh, encode: Encode) -> Pair:
    """Token ids of context and continuation, cut where the context's own ids end.

    Spaces at the context's end go to the continuation, since tokens begin with their space (lm-eval's rule).
    """
    context, whole = weigh.context.rstrip(), encode(weigh.context + weigh.continuation)
    before = encode(context)
    if not context:  # what stands before an empty text is BOS, which the tokenizer may or may not put before others
        return before, whole[len(before) :] if list(whole[: len(before)]) == list(before) else whole
    cut = min(len(before), len(whole) - 1)
    return whole[:cut] or encode(""), whole[cut:]
