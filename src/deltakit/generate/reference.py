"""transformers' own `generate` as a backend: what our engine is measured against, and what any architecture can use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from deltakit.generate.backend import Done, Pair, Scored, alone, completion, context_of, fitting, scorable
from deltakit.generate.batches import batches, run_batches
from deltakit.generate.request import Completion, Request
from deltakit.generate.score import likelihood
from deltakit.generate.stops import Stops
from deltakit.runtime import threads_for
from deltakit.runtime.memory import ran_out

__all__ = ["Reference"]


@dataclass(frozen=True)
class Reference:
    """Batches of at most `max_rows` rows, left-padded, each as long as its longest answer. Greedy answers are those of
    `Engine` token by token in float32. A drawn answer is drawn by transformers from torch's generator, seeded with the
    request's seed: it repeats, whatever is asked beside it, but is another one than `Engine` draws."""

    model: Any
    tokenizer: Any
    eos: frozenset[int]
    max_rows: int = 8

    @property
    def context(self) -> int:
        """Positions that the model was made for (0: its config does not say)."""
        return context_of(self.model.config)

    def tokenizer_of(self, tenant: str | None = None) -> Any:
        """The model's tokenizer; InputError for a tenant."""
        alone([tenant], "transformers")
        return self.tokenizer

    def generate(self, requests: Sequence[Request], done: Done = lambda i, found: None) -> list[Completion]:
        """Completions in the order of `requests`; errors as in `Engine.generate`."""
        alone([r.tenant for r in requests], "transformers")
        fitting([r.length for r in requests], self.context, "prompt and max_new_tokens")
        out: dict[int, Completion] = {}
        stops = Stops(self.tokenizer, self.eos)

        def run(batch: list[int]) -> None:
            asked = [requests[i] for i in batch]
            for i, (tokens, reason) in zip(batch, _generate(self.model, asked, stops), strict=True):
                out[i] = completion(tokens, reason, requests[i], stops)
                done(i, out[i])

        greedy = [i for i, r in enumerate(requests) if r.temperature == 0.0]
        plan = [[greedy[k] for k in batch] for batch in self._plan([requests[i].length for i in greedy])]
        self._run(plan + [[i] for i, r in enumerate(requests) if r.temperature > 0.0], run)
        return [out[i] for i in range(len(requests))]

    def score(
        self, pairs: Sequence[Pair], done: Done = lambda i, found: None, tenants: Sequence[str | None] = ()
    ) -> list[Scored]:
        """(log-likelihood, is greedy), pair by pair: one forward pass, all its logits."""
        alone(tenants, "transformers")
        scorable(pairs)
        fitting(
            [len(a) + len(b) - 1 for a, b in pairs], self.context, "context and continuation, without its last token,"
        )
        out: dict[int, Scored] = {}

        def run(batch: list[int]) -> None:
            for i in batch:
                out[i] = _score(self.model, *pairs[i])
                done(i, out[i])

        self._run([[i] for i in range(len(pairs))], run)
        return [out[i] for i in range(len(pairs))]

    def _plan(self, lengths: list[int]) -> list[list[int]]:
        return batches(lengths, max(lengths, default=0) * self.max_rows, self.max_rows)

    def _run(self, plan: list[list[int]], run: Callable[[list[int]], None]) -> None:
        with threads_for(self.model.num_parameters(), self.model.device.type):
            run_batches(plan, run, ran_out)


@torch.inference_mode()
def _generate(model: Any, requests: Sequence[Request], stops: Stops) -> list[tuple[list[int], str]]:
    """Tokens (the last one included) and reason per request; rows that draw come alone."""
    from transformers import GenerationConfig, StoppingCriteriaList

    width = max(len(r.prompt) for r in requests)
    ids = torch.tensor([[0] * (width - len(r.prompt)) + list(r.prompt) for r in requests], device=model.device)
    mask = torch.tensor([[0] * (width - len(r.prompt)) + [1] * len(r.prompt) for r in requests], device=model.device)
    ends = _Ends(requests, stops, width)
    first = requests[0]
    given: dict[str, Any] = {"do_sample": False}
    if first.temperature > 0.0:
        given = {"do_sample": True, "temperature": first.temperature, "top_p": first.top_p, "top_k": first.top_k}
    plan = GenerationConfig(
        max_new_tokens=max(r.max_new_tokens for r in requests), pad_token_id=0, eos_token_id=None, num_beams=1,
        repetition_penalty=1.0, use_cache=True, **given,
    )  # fmt: skip
    with _unopinionated(model), _seeded(first.seed, model.device):
        model.generate(
            input_ids=ids, attention_mask=mask, generation_config=plan, stopping_criteria=StoppingCriteriaList([ends])
        )
    return list(zip(ends.answers, ends.reasons, strict=True))


class _Ends:
    """A stopping criterion of transformers: each row ends by its own EOS, stop strings and length."""

    def __init__(self, requests: Sequence[Request], stops: Stops, width: int) -> None:
        self._requests, self._stops, self._width = requests, stops, width
        self.answers: list[list[int]] = [[] for _ in requests]
        self.reasons = [""] * len(requests)

    def __call__(self, input_ids: torch.Tensor, scores: Any, **unused: Any) -> torch.Tensor:
        """True for every row that has ended, after a token was appended to all of them."""
        going = [row for row, reason in enumerate(self.reasons) if not reason]
        for row in going:
            self.answers[row] = input_ids[row, self._width :].tolist()
        asked = [self._requests[row] for row in going]
        found = self._stops.reasons(
            [self.answers[row] for row in going], [r.stop for r in asked], [r.max_new_tokens for r in asked]
        )
        for row, reason in zip(going, found, strict=True):
            self.reasons[row] = reason
        return torch.tensor([bool(reason) for reason in self.reasons], device=input_ids.device)


@contextmanager
def _unopinionated(model: Any) -> Iterator[None]:
    """Within the block nothing of the model's own generation_config fills what a request leaves open."""
    from transformers import GenerationConfig

    own = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """torch's generators begin with `seed` within the block and go on as before behind it."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@torch.inference_mode()
def _score(model: Any, context: Sequence[int], continuation: Sequence[int]) -> Scored:
    ids = torch.tensor([[*context, *continuation[:-1]]], device=model.device)
    return likelihood(model(input_ids=ids).logits[0, len(context) - 1 :], continuation)
