"""Held-out loss: how surprised a model is by responses it was not trained on; prompts are not counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from deltakit.data.records import Record
from deltakit.generate.backend import Backend
from deltakit.manifest import digest
from deltakit.prompts import prompt_style
from deltakit.train.masking import encode

__all__ = ["held_out_loss"]

_ENDLESS = 1 << 20


def held_out_loss(
    engine: Backend, records: Sequence[Record], style: str = "alpaca", done: Callable[[int], None] = lambda rows: None
) -> dict[str, Any]:
    """Mean negative log-likelihood in nats per response token (EOS counts as one), encoded as training encodes.

    Also: `stderr` over records (ratio estimate), `tokens`, `records`, `too_long` (above the context, left out) and
    `samples`, one a record: {doc_id, doc_hash, nll, tokens}, nll in nats over all its tokens. Raises InputError where
    no record fits.
    """
    ask = prompt_style(style)
    texts = [(ask(r.instruction, r.input), r.response) for r in records]
    limit = engine.context or _ENDLESS
    encoded, counts = encode(texts, engine.tokenizer_of(), max_length=limit, too_long="drop")
    kept = list(range(len(records)))
    if counts.too_long:
        lengths = encode(texts, engine.tokenizer_of(), max_length=_ENDLESS, too_long="drop")[0].lengths
        kept = [i for i in kept if lengths[i] <= limit]
    pairs = [
        (ids[:border].tolist(), ids[border:].tolist()) for ids, border in map(encoded.__getitem__, range(len(encoded)))
    ]
    totals = [-total for total, _ in engine.score(pairs, lambda i, found: done(1))]
    tokens = [len(response) for _, response in pairs]
    mean = sum(totals) / sum(tokens)
    spread = sum((total - mean * n) ** 2 for total, n in zip(totals, tokens, strict=True))
    n = len(pairs)
    stderr = math.sqrt(spread * n / (n - 1)) / sum(tokens) if n > 1 else None
    samples = [
        {"doc_id": i, "doc_hash": digest([r.instruction, r.input, r.response]), "nll": total, "tokens": count}
        for i, r, total, count in zip(kept, (records[i] for i in kept), totals, tokens, strict=True)
    ]
    about = {"tokens": sum(tokens), "records": n, "too_long": counts.too_long}
    return {"loss": mean, "stderr": stderr, **about, "samples": samples}
