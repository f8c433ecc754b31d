"""The decoder over one model and its tokenizer: plans batches, runs them, backs off when memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deltakit.errors import InputError, RecipeError
from deltakit.generate.backend import Done, Pair, Scored, completion, context_of, fitting, scorable
from deltakit.generate.batches import batches, run_batches
from deltakit.generate.continuous.families import unfit
from deltakit.generate.continuous.hook import hooked
from deltakit.generate.continuous.prefix import most_kept, shared_prefixes
from deltakit.generate.continuous.run import Limits, decode_slots
from deltakit.generate.continuous.scheduler import ordered
from deltakit.generate.decode import decode
from deltakit.generate.forecast import room
from deltakit.generate.request import Completion, Request
from deltakit.generate.score import score, score_slots
from deltakit.generate.stops import eos_ids
from deltakit.generate.voices import voices_of
from deltakit.runtime import load_tokenizer, threads_for
from deltakit.runtime.memory import ran_out

if TYPE_CHECKING:
    from deltakit.tenants import ResidentBase

__all__ = ["FORMS", "Engine"]

FORMS = ("auto", "slots", "static")
_TOKENS = 32_768  # positions of a batch where nothing is said
_LOGITS = 1 << 27  # elements of logits that one scoring batch may make


@dataclass(frozen=True)
class Engine:
    """`eos` ids end an answer; `batch_tokens` bounds the positions of keys and values of a batch (0: 32,768, on a GPU
    what fits), `max_rows` its rows; over slots both are also bounded by the memory that is free. A row takes as many as
    its prompt and the longest answer that it may give, over slots fewer at first (see `Scheduler`).

    `chunk` bounds the tokens of prompts that one pass computes. `form` "auto" runs over slots where the architecture is
    known, else in static batches; "slots" and "static" insist. Over a `resident` base every request may name a tenant,
    whose model, tokenizer and EOS are then its own.
    """

    model: Any
    tokenizer: Any
    eos: frozenset[int]
    batch_tokens: int = 0
    max_rows: int = 256
    resident: ResidentBase | None = None
    chunk: int = 8192
    form: str = "auto"

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise RecipeError(f"form {self.form!r}", remedy=f"use one of {', '.join(FORMS)}")
        if self.form == "slots" and unfit(self.model):
            raise InputError(f"this model cannot run over slots: {unfit(self.model)}", remedy="use the form auto")

    @classmethod
    def over(cls, resident: ResidentBase, **limits: Any) -> Engine:
        """An engine over a resident base and its tenants, those attached later too."""
        tokenizer = load_tokenizer(resident.sidecar)
        return cls(resident.model, tokenizer, eos_ids(tokenizer, resident.sidecar), resident=resident, **limits)

    def tokenizer_of(self, tenant: str | None = None) -> Any:
        """The tokenizer that a tenant's prompts are encoded with; None is the model itself."""
        return self.tokenizer if tenant is None or self.resident is None else self.resident.tenant(tenant).tokenizer

    @property
    def over_slots(self) -> bool:
        """Whether rows are refilled as they end; else batches are static, for architectures that are not known."""
        return self.form != "static" and not unfit(self.model)

    @property
    def context(self) -> int:
        """Positions that the model was made for (0: its config does not say)."""
        return context_of(self.model.config)

    def generate(self, requests: Sequence[Request], done: Done = lambda i, found: None) -> list[Completion]:
        """Completions in the order of `requests`; `done(i, completion)` is called as each is known.

        Raises InputError, before anything runs, if prompt and answer exceed the context, and ResourceError if memory
        does not hold a single row.
        """
        fitting([r.length for r in requests], self.context, "prompt and max_new_tokens")
        voices = voices_of(self.resident, self.tokenizer, self.eos, [r.tenant for r in requests])
        out: dict[int, Completion] = {}

        def ended(i: int, tokens: list[int], reason: str) -> None:
            out[i] = completion(tokens, reason, requests[i], voices.stops[requests[i].tenant])
            done(i, out[i])

        def run(batch: list[int]) -> None:
            asked = [requests[i] for i in batch]
            for i, found in zip(batch, decode(self.model, asked, voices), strict=True):
                ended(i, *found)

        if self.over_slots:
            limits = Limits(self._room([r.length for r in requests]), self.max_rows, self.chunk, _LOGITS)
            with threads_for(self.model.num_parameters(), self.model.device.type):
                decode_slots(self.model, requests, voices, limits, ended)
        else:
            self._run([r.length for r in requests], self.batch_tokens or _TOKENS, run)
        return [out[i] for i in range(len(requests))]

    def score(
        self,
        pairs: Sequence[Pair],
        done: Done = lambda i, found: None,
        tenants: Sequence[str | None] = (),
    ) -> list[Scored]:
        """(log-likelihood, is greedy) per (context, continuation) pair of token ids, each by its own tenant where
        `tenants` names one a pair; errors as in `generate`."""
        scorable(pairs)
        lengths = [len(context) + len(continuation) - 1 for context, continuation in pairs]  # the last is not fed
        fitting(lengths, self.context, "context and continuation, without its last token,")
        out: dict[int, tuple[float, bool]] = {}
        names = list(tenants) or [None] * len(pairs)
        voices = voices_of(self.resident, self.tokenizer, self.eos, names)

        slotted = self.over_slots
        order = ordered(lengths, list(zip(names, map(tuple, (c for c, _ in pairs)), strict=True))) if slotted else []
        shared = shared_prefixes(
            [(n, c, len(c) - 1) for n, (c, _) in zip(names, pairs, strict=True)] if slotted else []
        )
        vocabulary = self.model.config.get_text_config().vocab_size
        kept = max(1, _LOGITS // vocabulary)

        def run(batch: list[int]) -> None:
            some, own = [pairs[i] for i in batch], [names[i] for i in batch]
            if slotted:
                found = score_slots(self.model, some, own, voices, [shared[i] for i in batch], self.chunk, kept)
            else:
                with voices.rows(own):
                    found = score(self.model, some, own)
            for i, value in zip(batch, found, strict=True):
                out[i] = value
                done(i, value)

        if slotted:
            kept_beside = most_kept([shared[i] for i in order], self.max_rows)
            with hooked(self.model):
                self._run(lengths, self._room(lengths) - kept_beside, run, order)
        else:
            self._run(lengths, min(self.batch_tokens or _TOKENS, kept), run)
        return [out[i] for i in range(len(pairs))]

    def _run(
        self, lengths: list[int], budget: int, run: Callable[[list[int]], None], order: Sequence[int] = ()
    ) -> None:
        with threads_for(self.model.num_parameters(), self.model.device.type):
            run_batches(batches(lengths, budget, self.max_rows, order), run, ran_out)

    def _room(self, lengths: list[int]) -> int:
        """Positions that a cache may have: as many as were asked for, and fit."""
        if not lengths:
            return 0
        usual = _TOKENS if self.model.device.type == "cpu" else self.max_rows * max(lengths)
        return min(self.batch_tokens or usual, room(self.model, lengths, self.max_rows, self.chunk))
