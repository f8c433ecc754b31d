"""lm-eval's view of our decoder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import normalize_gen_kwargs
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from deltakit import rng
from deltakit.errors import InputError, RecipeError
from deltakit.generate import Engine, Host, Request
from deltakit.registry import did_you_mean

__all__ = ["DeltakitLM"]

_DEFAULT_NEW = 256  # what lm-eval's own backends take where a task says nothing
_KNOWN = ["until", "max_gen_toks", "do_sample", "temperature", "top_p", "top_k"]


class DeltakitLM(TemplateLM):  # type: ignore[misc]
    """An `Engine` as lm-eval's LM. Sampling settings come from the task alone, never from the model's own
    generation_config; an unknown one is a RecipeError. `tokens` counts what was generated."""

    def __init__(self, engine: Engine, *, seed: int = 0, max_new_tokens: int | None = None, done: Any = None) -> None:
        super().__init__()
        self.engine, self.tokenizer = engine, engine.tokenizer
        self.seed, self.max_new_tokens = seed, max_new_tokens
        self.tokens = 0
        self._done = (lambda i, found: done(1)) if done else (lambda i, found: None)

    @classmethod
    def create_from_arg_obj(
        cls, arg_dict: dict[str, Any], additional_config: dict[str, Any] | None = None
    ) -> DeltakitLM:
        """For lm-eval's own command line: model_args pretrained=MODEL, and dtype, batch_tokens, max_rows, seed.

        Its batch_size has no meaning here (rows are planned by length), and its default device "cuda:0" means auto.
        """
        from deltakit.delta.open import open_model

        given = {**(additional_config or {}), **arg_dict}
        known = ["pretrained", "dtype", "batch_tokens", "max_rows", "seed", "device", "batch_size", "max_batch_size"]
        for name in sorted(given.keys() - set(known)):
            raise RecipeError(f"model_args: unknown {name!r}", remedy=did_you_mean(name, known))
        if "pretrained" not in given:
            raise RecipeError("model_args: pretrained=MODEL is missing", remedy='e.g. pretrained="BASE + 0.6*DELTA"')
        host = Host(
            device="auto" if given.get("device") in (None, "cuda:0") else str(given["device"]),
            dtype=str(given.get("dtype", "auto")),
            batch_tokens=int(given.get("batch_tokens", 0)),
            max_rows=int(given.get("max_rows", 0)),
        )
        return cls(host.serve(open_model(str(given["pretrained"]))), seed=int(given.get("seed", 0)))

    @classmethod
    def create_from_arg_string(cls, arg_string: str, additional_config: dict[str, Any] | None = None) -> DeltakitLM:
        """As `create_from_arg_obj`, from "key=value,key=value"."""
        from lm_eval.utils import simple_parse_args_string

        return cls.create_from_arg_obj(simple_parse_args_string(arg_string), additional_config)

    @property
    def eot_token_id(self) -> int:
        """The first of the ids that end a text."""
        return min(self.engine.eos) if self.tokenizer.eos_token_id is None else int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """What stands before a text that has nothing before it: BOS, else the end token."""
        bos = self.tokenizer.bos_token_id
        return self.eot_token_id if bos is None else int(bos)

    @property
    def max_length(self) -> int:
        """Positions of the model's context."""
        return self.engine.context or 1 << 20

    @property
    def tokenizer_name(self) -> str:
        """A name for lm-eval's request cache."""
        return type(self.tokenizer).__name__

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The tokenizer's own chat template as text; InputError if it has none."""
        if not self.tokenizer.chat_template:
            raise InputError("the model's tokenizer has no chat template", remedy="leave --chat-template out")
        text: str = self.tokenizer.apply_chat_template(
            chat_history, tokenize=False, add_generation_prompt=add_generation_prompt
        )
        return text

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """Token ids with the tokenizer's special tokens, unless the text already begins with BOS. No EOS at the end."""
        bos = self.tokenizer.bos_token
        special = not (bos and string.startswith(bos)) if add_special_tokens is None else add_special_tokens
        ids: list[int] = self.tokenizer(string, add_special_tokens=special, verbose=False)["input_ids"]
        return ids[:-1] if special and ids and ids[-1] == self.tokenizer.eos_token_id else ids

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """One text per request, without its stop string; all requests of all tasks are batched together."""
        seen: Counter[str] = Counter()
        asked = []
        for instance in requests:
            context, settings = instance.args
            asked.append(self._request(context, settings, seen[context]))
            seen[context] += 1
        answers = self.engine.generate(asked, self._done)
        self.tokens += sum(len(answer.tokens) for answer in answers)
        for instance, answer in zip(requests, answers, strict=True):
            self.cache_hook.add_partial("generate_until", instance.args, answer.text)
        return [answer.text for answer in answers]

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Log-likelihood of whole texts in windows of the context's length."""
        windows, owners = [], []
        for owner, instance in enumerate(requests):
            ids = self.tok_encode(instance.args[0], add_special_tokens=False)
            for pair in get_rolling_token_windows(ids, self.prefix_token_id, self.max_length - 1, 1):
                windows.append(make_disjoint_window(pair))
                owners.append(owner)
        out = [0.0] * len(requests)
        for owner, (total, _) in zip(owners, self.engine.score(windows, self._done), strict=True):
            out[owner] += total
        return out

    def _loglikelihood_tokens(self, requests: Sequence[Any], **kwargs: Any) -> list[tuple[float, bool]]:
        return self.engine.score([(context, continuation) for _, context, continuation in requests], self._done)

    def _request(self, context: str, settings: Any, repeat: int) -> Request:
        """A task's request as ours; a drawn answer's seed follows from run seed, prompt and which repeat it is."""
        given = normalize_gen_kwargs(settings, _DEFAULT_NEW)
        for name in sorted(given.keys() - set(_KNOWN)):
            raise RecipeError(f"generation_kwargs has no {name!r} here", remedy=did_you_mean(name, _KNOWN))
        draws = bool(given["do_sample"])
        return Request(
            prompt=tuple(self.tok_encode(context)) or (self.prefix_token_id,),
            max_new_tokens=self.max_new_tokens or int(given["max_gen_toks"]),
            stop=tuple(s for s in given["until"] if s),
            temperature=float(given.get("temperature", 1.0)) if draws else 0.0,
            top_p=float(given.get("top_p", 1.0)) if draws else 1.0,
            top_k=int(given.get("top_k", 0)) if draws else 0,
            seed=rng.key(self.seed, "eval", f"{context}\0{repeat}") if draws else 0,
        )
