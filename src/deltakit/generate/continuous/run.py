"""Rows over slots from first to last: prompts in, one token a step for every row, the next row where one ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from deltakit.errors import ResourceError
from deltakit.generate.continuous.graphs import steps_on
from deltakit.generate.continuous.hook import hooked
from deltakit.generate.continuous.prefill import Span, prefill
from deltakit.generate.continuous.prefix import shared_prefixes
from deltakit.generate.continuous.scheduler import Row, Scheduler, ordered
from deltakit.generate.continuous.step import kernel_for
from deltakit.generate.request import Request
from deltakit.generate.sampling import choose
from deltakit.generate.voices import Voices
from deltakit.runtime.memory import ran_out

__all__ = ["Limits", "decode_slots"]

_SHARE = 8  # one row in so many has ended before a batch of tenants is made anew: their plans are made by rows

Ended = Callable[[int, list[int], str], None]


@dataclass(frozen=True)
class Limits:
    """`tokens`: positions of the cache, all slots and the prefixes kept beside it together; `rows` at once; `chunk`:
    tokens of prompts in one pass; `logits`: elements of logits that a pass may make."""

    tokens: int
    rows: int
    chunk: int
    logits: int


def decode_slots(model: Any, requests: Sequence[Request], voices: Voices, limits: Limits, ended: Ended) -> None:
    """Answer all requests; `ended(i, tokens with EOS, reason)` as each row ends.

    A row's answer does not depend on its neighbours beyond float rounding. Rows that outgrow their slots go on in
    wider ones; memory that runs out halves the slots, and the rows go on from where they were; ResourceError if one row
    alone does not fit.
    """
    rows = _rows(requests)
    plan = Scheduler(rows, limits.tokens, limits.rows)
    attend = kernel_for(model, sum(row.request.length for row in rows))
    with hooked(model):
        while plan.left:
            run = _Run(model, voices, plan, limits, ended, attend)
            error = run.until_full()
            left = [row for row in run.held if not row.over]
            del run  # and its cache, before a smaller one is made
            if error and not plan.shrink(left):
                remedy = "lower --max-new-tokens, or use a device with more memory"
                raise ResourceError("out of memory with a single row", remedy=remedy) from error
            del error


def _rows(requests: Sequence[Request]) -> list[Row]:
    shared = shared_prefixes([(r.tenant, r.prompt, len(r.prompt) - 1) for r in requests])
    order = ordered([r.length for r in requests], [(r.tenant, r.prompt) for r in requests])
    return [Row(i, requests[i], shared[i]) for i in order]


class _Run:
    """One cache and the rows that hold its slots; of each the last token, slot and length stand on the device."""

    def __init__(
        self, model: Any, voices: Voices, plan: Scheduler, limits: Limits, ended: Ended, attend: Callable[..., Any]
    ) -> None:
        self.held: list[Row] = []
        self._model, self._voices, self._plan, self._limits, self._ended = model, voices, plan, limits, ended
        self._attend = attend
        self._tokens = torch.empty(0, dtype=torch.long, device=model.device)
        self._slots = self._lengths = torch.empty(0, dtype=torch.int32, device=model.device)
        self._requests: list[Request] = []
        self._names: tuple[str | None, ...] = ()
        self._width = 0  # the longest length
        self._mixed = False  # tenants are in the batch

    def until_full(self) -> BaseException | None:
        """Until no row is left, or memory is: then what was raised."""
        try:
            self._steps = steps_on(self._model, self._voices, *self._plan.lay_out(), self._attend)
            while self._plan.waiting or self.held:
                rows = self._plan.admitted()
                if rows:
                    self._let_in(rows)
                if self.held:
                    self._step()
        except (MemoryError, RuntimeError) as error:
            if not ran_out(error):
                raise
            return error.with_traceback(None)  # which would keep the dead batch's tensors alive
        return None

    def _let_in(self, rows: list[Row]) -> None:
        """Compute the prompts of rows that hold a slot, and their first tokens."""
        before = self.held
        self.held = before + rows  # so that no row is lost if memory ends here
        said = [(*row.request.prompt, *row.tokens) for row in rows]
        spans = [
            Span(row.slot, tokens, len(tokens) - 1, row.request.tenant, row.prefix)
            for row, tokens in zip(rows, said, strict=True)
        ]
        kept = max(1, self._limits.logits // self._model.config.get_text_config().vocab_size)
        first: dict[int, torch.Tensor] = {}
        prefill(self._steps, spans, self._limits.chunk, kept, first.__setitem__)
        for row in rows:
            row.prefix = None  # left
        logits = _stacked([first[i] for i in range(len(rows))])
        chosen = choose(logits, [row.request for row in rows], [len(row.tokens) for row in rows])
        going, index = self._ending(rows, chosen)
        new = torch.tensor([[r.slot, r.length] for r in going], dtype=torch.int32)
        new = new.reshape(-1, 2).to(self._slots.device)
        self._tokens = torch.cat([self._tokens, chosen[index]])
        self._slots, self._lengths = torch.cat([self._slots, new[:, 0]]), torch.cat([self._lengths, new[:, 1]])
        for row in rows:
            if row.over:
                self._plan.release(row)
        self._hold(before + going)

    def _step(self) -> None:
        """One token for every row."""
        logits = self._steps.decode(self._tokens, self._slots, self._lengths, self._names, self._width)
        self._tokens = choose(logits, self._requests, [len(row.tokens) for row in self.held])
        self._lengths = self._lengths + 1
        self._width = min(self._width + 1, self._plan.positions)
        going, index = self._ending(self.held, self._tokens)
        over = len(self.held) - len(going)
        if over >= max(1, len(self.held) // _SHARE if self._mixed else 1):
            self._tokens, self._slots, self._lengths = (x[index] for x in (self._tokens, self._slots, self._lengths))
            for row in self.held:
                if row.over:
                    self._plan.release(row)
            self._hold(going)
        elif over:  # they run on in their slots, and what they say is not heard
            self._lengths = self._lengths.clamp(max=self._plan.positions)

    def _hold(self, rows: list[Row]) -> None:
        self.held = rows
        self._requests = [row.request for row in rows]
        self._names = tuple(request.tenant for request in self._requests)
        self._width = min(max((row.length for row in rows), default=0), self._plan.positions)
        self._mixed = any(name is not None for name in self._names)

    def _ending(self, rows: list[Row], chosen: torch.Tensor) -> tuple[list[Row], torch.Tensor]:
        """Give every row its token; the rows that go on, and where they stand among `rows`."""
        going: list[int] = []
        for at, (row, token) in enumerate(zip(rows, chosen.tolist(), strict=True)):
            if row.over:
                continue
            row.tokens.append(token)
            request = row.request
            reason = self._voices.stops[request.tenant].reason(row.tokens, request.stop, request.max_new_tokens)
            if reason:
                row.over = True
                self._ended(row.index, row.tokens, reason)
            elif row.length > self._plan.positions:
                self._plan.put_off(row)
            else:
                going.append(at)
        return [rows[at] for at in going], torch.tensor(going, dtype=torch.long, device=chosen.device)


def _stacked(logits: list[torch.Tensor]) -> torch.Tensor:
    """Last logits (rows, vocabulary) of passes whose tenants know more or fewer tokens."""
    width = max(part.shape[-1] for part in logits)
    last = [functional.pad(part[-1], (0, width - part.shape[-1]), value=float("-inf")) for part in logits]
    return torch.stack(last)
