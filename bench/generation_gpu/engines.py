"""The engines that are compared, each over the same model and requests; each returns the tokens that it made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from shapes import Asked

TAIL = 24  # last tokens of a prompt by which its answer's length is known


@dataclass(frozen=True)
class Bench:
    """One model with its requests; `rows` at once."""

    model: Any
    tokenizer: Any
    asked: Sequence[Asked]
    rows: int


def ours(bench: Bench, graphs: bool, fused: bool) -> int:
    """Our engine: rows over slots, refilled as they end."""
    from deltakit.generate.engine import Engine
    from deltakit.generate.request import Request

    longest = max(len(a.ids) + a.tokens for a in bench.asked)
    engine = Engine(
        bench.model, bench.tokenizer, frozenset(), batch_tokens=bench.rows * longest, max_rows=bench.rows, form="slots"
    )
    requests = [Request(a.ids, a.tokens, stop=("\n\n",)) for a in bench.asked]
    with _steps(graphs, fused):
        return sum(len(c.tokens) for c in engine.generate(requests))


@contextmanager
def _steps(graphs: bool, fused: bool) -> Iterator[None]:
    """Within the block the engine decodes with graphs or without, by the kernel or the plain form."""
    from deltakit.generate.continuous import attention, run
    from deltakit.generate.continuous import graphs as graphs_module
    from deltakit.generate.continuous.fused import decoding_on
    from deltakit.generate.continuous.slots import SlotCache
    from deltakit.generate.continuous.step import Steps

    def made(model: Any, voices: Any, slots: int, positions: int, attend: Any = None) -> Steps:
        attend = decoding_on(model.device.type) if fused else attention.attend
        if graphs:
            return graphs_module.steps_on(model, voices, slots, positions, attend)
        return Steps(model, voices, SlotCache.of(model, slots, positions), attend)

    before = run.steps_on
    run.steps_on = made
    try:
        yield
    finally:
        run.steps_on = before


class Forced:
    """A logits processor of transformers: row i of a batch ends after as many tokens as its prompt asks for."""

    def __init__(self, asked: Sequence[Asked], eos: int) -> None:
        self._known = {a.ids[-TAIL:]: a.tokens for a in asked}
        assert len(self._known) == len(asked)
        self._eos, self._width, self._lengths = eos, 0, torch.empty(0)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if not len(self._lengths):
            self._width = input_ids.shape[1]
            lengths = [self._known[tuple(row)] for row in input_ids[:, -TAIL:].tolist()]
            self._lengths = torch.tensor(lengths, device=scores.device)
        last = input_ids.shape[1] - self._width + 1 >= self._lengths
        scores[:, self._eos] = float("-inf")
        scores[last] = float("-inf")
        scores[last, self._eos] = 0.0
        return scores


def static(bench: Bench) -> int:
    """transformers' `generate` in batches of prompts of like length, as lm-eval makes them."""
    from transformers import GenerationConfig, LogitsProcessorList

    model, eos, made = bench.model, bench.tokenizer.eos_token_id, 0
    order = sorted(bench.asked, key=lambda a: -len(a.ids))
    for at in range(0, len(order), bench.rows):
        batch = order[at : at + bench.rows]
        width, most = len(batch[0].ids), max(a.tokens for a in batch)
        ids = torch.tensor([[0] * (width - len(a.ids)) + list(a.ids) for a in batch], device=model.device)
        mask = torch.tensor([[0] * (width - len(a.ids)) + [1] * len(a.ids) for a in batch], device=model.device)
        plan = GenerationConfig(max_new_tokens=most, do_sample=False, eos_token_id=eos, pad_token_id=0)
        forced = LogitsProcessorList([Forced(batch, eos)])
        with torch.inference_mode():
            out = model.generate(input_ids=ids, attention_mask=mask, generation_config=plan, logits_processor=forced)
        assert out.shape[1] == width + most
        made += sum(a.tokens for a in batch)
    return made


def continuous_batching(bench: Bench) -> int:
    """transformers' continuous batching; its attention is what this installation gives it."""
    from transformers import ContinuousBatchingConfig, GenerationConfig

    more: dict[str, Any] = {"max_requests_per_batch": bench.rows}
    if bench.model.device.type == "cpu":
        more |= {"num_blocks": 64, "max_batch_tokens": 512}
    plan = GenerationConfig(do_sample=False, eos_token_id=-1, pad_token_id=0, max_new_tokens=8)
    made = 0
    with torch.no_grad(), bench.model.continuous_batching_context_manager(
        plan, continuous_batching_config=ContinuousBatchingConfig(**more)
    ) as manager:  # fmt: skip
        left = {manager.add_request(list(a.ids), max_new_tokens=a.tokens) for a in bench.asked}
        while left:
            found = manager.get_result(timeout=60)
            if found is None or found.error:
                raise RuntimeError(f"continuous batching stopped: {found and found.error}")
            if found.is_finished():
                left.discard(found.request_id)
                made += len(found.generated_tokens)
    return made


def lm_eval(bench: Bench) -> int:
    """lm-eval's own `hf` backend at a fixed batch size, answers ended by the same processor."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM
    from transformers import LogitsProcessorList

    tokenizer = bench.tokenizer
    lm = HFLM(pretrained=bench.model, tokenizer=tokenizer, batch_size=bench.rows, max_length=8192)
    kwargs = {"until": ["\n\n"], "max_gen_toks": max(a.tokens for a in bench.asked), "do_sample": False}
    items = [Instance("generate_until", {}, (a.text, dict(kwargs)), i) for i, a in enumerate(bench.asked)]
    own = bench.model.generate

    def forced(*given: Any, **named: Any) -> Any:
        processor = LogitsProcessorList([Forced(bench.asked, tokenizer.eos_token_id)])
        return own(*given, **named, logits_processor=processor)

    bench.model.generate = forced
    try:
        lm.generate_until(items, disable_tqdm=True)
    finally:
        del bench.model.generate
    return sum(a.tokens for a in bench.asked)


def engines(cuda: bool) -> dict[str, Callable[[Bench], int]]:
    """By the name in the table; the graphs and the kernel need a GPU."""
    found: dict[str, Callable[[Bench], int]] = {"ours: plain attention": lambda b: ours(b, graphs=False, fused=False)}
    if cuda:
        found["ours: kernel"] = lambda b: ours(b, graphs=False, fused=True)
        found["ours: kernel and graphs"] = lambda b: ours(b, graphs=True, fused=True)
    return {
        **found, "transformers, static batches": static, "transformers, continuous batching": continuous_batching,
        "lm-eval, hf": lm_eval,
    }  # fmt: skip
