"""lm-eval's view of our decoder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from lm_eval.api.model import TemplateLM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from deltakit.errors import InputError, RecipeError
from deltakit.generate import Host
from deltakit.generate.backend import Backend
from deltakit.generate.play import Weigh, perform
from deltakit.manifest import digest
from deltakit.registry import did_you_mean
from deltakit_eval.answering import Answering, Endings, Sandbox, fit
from deltakit_eval.asking import pair_of, play_of

__all__ = ["DeltakitLM", "item_name"]


class DeltakitLM(TemplateLM):  # type: ignore[misc]
    """A `Backend` as lm-eval's LM. Sampling settings and mode come from the task alone, never from the model's own
    generation_config; an unknown one is a RecipeError. `run` is the sandbox of modes that run programs; `endings`
    counts what was generated and how it ended."""

    def __init__(
        self,
        engine: Backend,
        *,
        seed: int = 0,
        max_new_tokens: int | None = None,
        run: Sandbox | None = None,
        done: Any = None,
    ) -> None:
        super().__init__()
        self.engine, self.tokenizer = engine, engine.tokenizer_of()
        self.seed, self.max_new_tokens, self.run = seed, max_new_tokens, run
        self.endings = Endings()
        self._done = (lambda i, found: done(1)) if done else (lambda i, found: None)

    @classmethod
    def create_from_arg_obj(
        cls, arg_dict: dict[str, Any], additional_config: dict[str, Any] | None = None
    ) -> DeltakitLM:
        """For lm-eval's own command line: model_args pretrained=MODEL, and dtype, batch_tokens, max_rows, seed.

        Its batch_size has no meaning here (rows are planned by length), and its default device "cuda:0" means auto.
        """
        from deltakit.delta.open import open_model
        from deltakit_eval.tasks.tested import runner

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
        backend = host.serve(open_model(str(given["pretrained"])))
        return cls(backend, seed=int(given.get("seed", 0)), run=runner())

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
        """A name for lm-eval's request cache, which holds prompts as the chat template made them: one a template."""
        marks = [self.tokenizer.chat_template, self.tokenizer.bos_token, self.tokenizer.eos_token]
        return f"{type(self.tokenizer).__name__}-{digest(marks)[-12:]}"

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The tokenizer's own chat template as text; InputError if it has none."""
        if not self.tokenizer.chat_template:
            remedy = "leave --chat-template out, and take another style than chat"
            raise InputError("the model's tokenizer has no chat template", remedy=remedy)
        text: str = self.tokenizer.apply_chat_template(
            chat_history, tokenize=False, add_generation_prompt=add_generation_prompt
        )
        return text

    def encode(self, text: str) -> list[int]:
        """Token ids of a prompt; of an empty one what stands before any text."""
        return self.tok_encode(text) or [self.prefix_token_id]

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """Token ids with the tokenizer's special tokens, unless the text already begins with BOS. No EOS at the end."""
        bos = self.tokenizer.bos_token
        special = not (bos and string.startswith(bos)) if add_special_tokens is None else add_special_tokens
        ids: list[int] = self.tokenizer(string, add_special_tokens=special, verbose=False)["input_ids"]
        return ids[:-1] if special and ids and ids[-1] == self.tokenizer.eos_token_id else ids

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """One text per request, without its stop string; all requests of all tasks are batched together."""
        seen: Counter[str] = Counter()
        plays = []
        for instance in requests:
            context, settings = instance.args
            limit = self.max_new_tokens
            plays.append(play_of(context, settings, seed=self.seed, repeat=seen[context], max_new_tokens=limit))
            seen[context] += 1
        answering = Answering(
            self.engine,
            lambda i: (self.encode, None),
            run=self.run,
            name=lambda i: item_name(requests[i]),
            known=lambda i: self._done(i, None),
            endings=self.endings,
        )
        texts = perform(plays, answering)
        for instance, text in zip(requests, texts, strict=True):
            self.cache_hook.add_partial("generate_until", instance.args, text)
        return texts

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """(log-likelihood in nats, is greedy) of each continuation; InputError names an item that does not fit."""
        pairs = [pair_of(Weigh(*instance.args), self.encode) for instance in requests]
        lengths = [(len(a), len(b)) for a, b in pairs]
        fit(lengths, self.engine.context, lambda i: item_name(requests[i]), generating=False)
        asked = [(instance.args, *pair) for instance, pair in zip(requests, pairs, strict=True)]
        return self._loglikelihood_tokens(asked)

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Log-likelihood of whole texts in windows of the context's length."""
        windows, owners = [], []
        for owner, instance in enumerate(requests):
            ids = self.tok_encode(instance.args[0], add_special_tokens=False)
            for pair in get_rolling_token_windows(ids, self.prefix_token_id, self.max_length, 1):
                windows.append(make_disjoint_window(pair))
                owners.append(owner)
        out = [0.0] * len(requests)
        for owner, (total, _) in zip(owners, self.engine.score(windows, self._done), strict=True):
            out[owner] += total
        return out

    def _loglikelihood_tokens(self, requests: Sequence[Any], **kwargs: Any) -> list[tuple[float, bool]]:
        return self.engine.score([(context, continuation) for _, context, continuation in requests], self._done)


def item_name(instance: Any) -> str:
    """How a message names an lm-eval Instance: its task and its item, counted from 0 as in results."""
    return f"{getattr(instance, 'task_name', None) or 'request'}: item {getattr(instance, 'doc_id', None)}"
