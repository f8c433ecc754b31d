"""Six ways to generate the same answers with the same model object, in one run: how fast is each.

    python bench/generation.py [MODEL] [--rows 96] [--shared 0] [--page bench/results/generation.md]

Prompts are random words; answer lengths are drawn once, log-normal, and forced in every way alike: no scheduler knows
them beforehand. `generate` and lm-eval's backend get a logits processor that ends a row at its length; transformers'
continuous batching gets its length with the request, ours a stop rule. The end token is made as unlikely as an unused
one, so that nothing ends earlier. All tokens before the forced end must be equal. `--shared N`: the prompts begin with
the same N words. `--most N`: every answer might be N tokens long, as is asked where nobody knows better; then ours runs
within `--tokens` positions of its cache, with its slots and with slots of full length. The ways run `--repeats` times
in turn; the fastest of each counts, by the clock and by CPU seconds of the process.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TQDM_DISABLE", "1")

import torch

from deltakit.generate import Engine, Request
from deltakit.generate import voices as voices_module
from deltakit.generate.continuous import scheduler
from deltakit.generate.stops import Stops

WORDS = [
    "two", "three", "apples", "pears", "gives", "takes", "from", "how", "many", "has", "left", "each", "box", "Tom",
    "Anna", "then", "buys", "sells", "for", "pays",
]  # fmt: skip
MOST = 256  # no answer is longer
ROOM = scheduler._ROOM
Answers = list[list[int]]


class Workload:
    """Prompts as text and as ids, and the forced length of each answer, its end token included."""

    def __init__(self, tokenizer: Any, rows: int, shared: int, mean: float) -> None:
        draw = random.Random(0)
        head = " ".join(draw.choice(WORDS) for _ in range(shared))
        self.texts = [f"{head} {i} {self._words(draw)}".strip() for i in range(rows)]
        self.prompts = [tuple(tokenizer(text)["input_ids"]) for text in self.texts]
        assert len(set(self.prompts)) == rows  # rows are told apart by their prompts
        mu = math.log(mean) - 0.6**2 / 2
        self.lengths = [max(2, min(MOST, round(draw.lognormvariate(mu, 0.6)))) for _ in range(rows)]
        self.end = tokenizer.pad_token_id  # never said unless it is forced

    @staticmethod
    def _words(draw: random.Random) -> str:
        return " ".join(draw.choice(WORDS) for _ in range(max(4, min(60, round(draw.lognormvariate(3.2, 0.5))))))


class Forced:
    """A logits processor over padded rows: row i says the end token when its length is reached."""

    def __init__(self, lengths: Sequence[int], width: int, end: int) -> None:
        self._lengths, self._width, self._end = torch.tensor(lengths), width, end

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        over = ids.shape[1] - self._width + 1 >= self._lengths
        if bool(over.any()):
            scores = scores.masked_fill(over[:, None], -1e9)
            scores[over, self._end] = 0.0
        return scores


class Ruler(Stops):
    """Ends every answer at the length that its request names as a stop string."""

    def reason(self, tokens: Sequence[int], stop: Sequence[str], limit: int) -> str:
        """ "stop" at the forced length."""
        return "stop" if len(tokens) >= int(stop[0]) else ""


def padded(model: Any, work: Workload, rows: Sequence[int]) -> Answers:
    """`generate` over left-padded rows."""
    width = max(len(work.prompts[i]) for i in rows)
    ids = torch.tensor([[work.end] * (width - len(work.prompts[i])) + list(work.prompts[i]) for i in rows])
    mask = torch.tensor([[0] * (width - len(work.prompts[i])) + [1] * len(work.prompts[i]) for i in rows])
    out = model.generate(
        ids, attention_mask=mask, max_new_tokens=MOST, do_sample=False, pad_token_id=work.end, eos_token_id=work.end,
        logits_processor=[Forced([work.lengths[i] for i in rows], width, work.end)],
    )  # fmt: skip
    return [row[: work.lengths[i]] for i, row in zip(rows, out[:, width:].tolist(), strict=True)]


def static(model: Any, work: Workload, batch: int) -> Answers:
    """`generate` in batches of equal size, the longest prompts first."""
    order = sorted(range(len(work.prompts)), key=lambda i: -len(work.prompts[i]))
    found: dict[int, list[int]] = {}
    for at in range(0, len(order), batch):
        rows = order[at : at + batch]
        found |= dict(zip(rows, padded(model, work, rows), strict=True))
    return [found[i] for i in range(len(order))]


def lm_eval(model: Any, tokenizer: Any, work: Workload) -> Callable[[], Answers]:
    """lm-eval's own backend at batch 8, fed as its tasks feed it."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    known = dict(zip(work.prompts, work.lengths, strict=True))
    found: dict[tuple[int, ...], list[int]] = {}

    class Forcing(HFLM):  # type: ignore[misc]
        def _model_generate(self, context: Any, max_length: int, stop: list[str], **given: Any) -> Any:
            prompts = [tuple(r[m.bool()].tolist()) for r, m in zip(context, given["attention_mask"], strict=True)]
            ends = [known[p] for p in prompts]
            rule = {"logits_processor": [Forced(ends, context.shape[1], work.end)], "eos_token_id": work.end}
            out = super()._model_generate(context, max_length, stop, **given, **rule)
            for prompt, n, row in zip(prompts, ends, out[:, context.shape[1] :].tolist(), strict=True):
                found[prompt] = row[:n]
            return out

    backend = Forcing(pretrained=model, tokenizer=tokenizer, batch_size=8)
    asked = {"until": ["\n\n\n\n"], "max_gen_toks": MOST, "do_sample": False}
    items = [Instance("generate_until", {}, (text, dict(asked)), i) for i, text in enumerate(work.texts)]

    def run() -> Answers:
        backend.generate_until(items, disable_tqdm=True)
        return [found[p] for p in work.prompts]

    return run


def continuous(model: Any, work: Workload, page: int, tokens: int) -> Answers:
    """transformers' continuous batching; room for all rows at once."""
    from transformers import ContinuousBatchingConfig, GenerationConfig

    pages = sum((len(p) + n) // page + 1 for p, n in zip(work.prompts, work.lengths, strict=True))
    settings = ContinuousBatchingConfig(page_size=page, num_blocks=pages, max_batch_tokens=tokens)
    config = GenerationConfig(max_new_tokens=MOST, do_sample=False, eos_token_id=-1, pad_token_id=work.end)
    found: dict[str, list[int]] = {}
    with torch.no_grad(), model.continuous_batching_context_manager(config, continuous_batching_config=settings) as m:
        for i, (prompt, n) in enumerate(zip(work.prompts, work.lengths, strict=True)):
            m.add_request(list(prompt), request_id=str(i), max_new_tokens=n, eos_token_id=-1)
        while len(found) < len(work.prompts):
            result = m.get_result(timeout=1)
            if result is not None and result.is_finished():
                if result.error is not None:
                    raise RuntimeError(result.error)
                found[result.request_id] = list(result.generated_tokens)
            elif result is None and not m.is_running():
                raise RuntimeError("continuous batching stopped")
    return [found[str(i)] for i in range(len(work.prompts))]


def ours(
    model: Any, tokenizer: Any, work: Workload, form: str, most: int = MOST, tokens: int = 0, room: int = ROOM
) -> Answers:
    """Our engine, or its static form; `room`: new tokens that its slots hold at first."""
    voices_module.Stops = Ruler  # type: ignore[misc]
    scheduler._ROOM = room
    engine = Engine(model, tokenizer, frozenset(), form=form, batch_tokens=tokens)
    asked = [Request(p, most, (str(n),)) for p, n in zip(work.prompts, work.lengths, strict=True)]
    return [list(c.tokens) for c in engine.generate(asked)]


def loose(model: Any, tokenizer: Any, work: Workload, most: int, tokens: int) -> dict[str, Any]:
    """Ours where answers may be much longer than they are."""
    return {
        "ours, over slots": (lambda: ours(model, tokenizer, work, "slots", most, tokens), 9),
        "ours, over slots of full length": (lambda: ours(model, tokenizer, work, "slots", most, tokens, most), 9),
    }


def timed(run: Callable[[], Answers]) -> tuple[Answers, float, float]:
    """The answers, and seconds: by the clock, and of this process on the CPU, all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = run()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def ways(model: Any, tokenizer: Any, work: Workload) -> dict[str, tuple[Callable[[], Answers], int]]:
    """Name to (what runs it, how often at most)."""
    batches = {f"`generate`, static batches of {n}": (lambda n=n: static(model, work, n), 9) for n in (8, 32)}
    paged = {
        f"transformers' continuous batching, {page} a page, {tokens} tokens a pass": (
            lambda page=page, tokens=tokens: continuous(model, work, page, tokens),
            9,
        )
        for page, tokens in ((32, 64), (32, 256), (256, 256))
    }
    return {
        "`generate`, one by one": (lambda: static(model, work, 1), 1),
        **batches,
        "lm-eval's hf backend, batch 8": (lm_eval(model, tokenizer, work), 9),
        **paged,
        "ours, static batches": (lambda: ours(model, tokenizer, work, "static"), 9),
        "ours, over slots": (lambda: ours(model, tokenizer, work, "slots"), 9),
    }


def page(model: Any, work: Workload, rows: dict[str, tuple[float, float]], shared: int) -> str:
    """The table."""
    tokens, wall, cpu = sum(work.lengths), *rows["ours, over slots"]
    lines = [
        f"{model.num_parameters() / 1e6:.2f} M parameters, {len(work.prompts)} rows, {tokens} answer tokens (mean "
        f"{tokens / len(work.prompts):.0f}, longest {max(work.lengths)}), prompts of {min(map(len, work.prompts))} to "
        f"{max(map(len, work.prompts))} tokens" + (f", the first {shared} words shared" if shared else "") + ".",
        "",
        "| way | seconds | CPU seconds | tokens/s | ours is faster by (clock) | (CPU) |",
        "|---|---|---|---|---|---|",
    ]
    for name, (w, c) in rows.items():
        lines.append(f"| {name} | {w:.2f} | {c:.2f} | {tokens / w:.0f} | {w / wall:.2f} | {c / cpu:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print."""
    from transformers.utils import logging

    from deltakit.checkpoint.open import open_checkpoint
    from deltakit.runtime import load_model, load_tokenizer

    logging.set_verbosity_error()
    parser = argparse.ArgumentParser()
    parser.add_argument("model", nargs="?", default="recipes/demo/base")
    parser.add_argument("--rows", type=int, default=96)
    parser.add_argument("--mean", type=float, default=90)
    parser.add_argument("--shared", type=int, default=0)
    parser.add_argument("--most", type=int, default=MOST)
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[""])
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    opened = open_checkpoint(given.model)
    model, tokenizer = load_model(opened, opened.sidecar, "float32"), load_tokenizer(opened.sidecar)
    with torch.no_grad():
        model.lm_head.weight[tokenizer.eos_token_id] = model.lm_head.weight[-1]
        model.lm_head.weight[tokenizer.pad_token_id] = model.lm_head.weight[-1]
    work, small = (Workload(tokenizer, n, given.shared, given.mean) for n in (given.rows, 4))
    rows: dict[str, tuple[float, float]] = {}
    want: Answers | None = None
    if given.most > MOST:
        model.config.max_position_embeddings = 1 << 20
        asked = loose(model, tokenizer, work, given.most, given.tokens)
    else:
        asked = ways(model, tokenizer, work)
        for run, _ in ways(model, tokenizer, small).values():
            run()
    ours(model, tokenizer, work, "slots")  # loads the compiled loop
    for turn in range(given.repeats):  # in turn, so that a busy machine disturbs all alike
        for name, (run, most) in asked.items():
            if turn >= most or not any(part in name for part in given.only):
                continue
            found, wall, cpu = timed(run)
            before = rows.get(name, (math.inf, math.inf))
            rows[name] = (min(wall, before[0]), min(cpu, before[1]))
            said = [a[: n - 1] for a, n in zip(found, work.lengths, strict=True)]
            want = want or said
            same = sum(a == b for a, b in zip(said, want, strict=True))
            print(f"{name}: {wall:.2f} s, {cpu:.2f} CPU, {same} of {len(want)} answers equal", file=sys.stderr)
    table = page(model, work, rows, given.shared)
    print(table)
    if given.page:
        given.page.write_text(given.page.read_text() + "\n" + table)


if __name__ == "__main__":
    main()
