"""A comparison as JSON."""

from __future__ import annotations

from typing import Any

from deltakit.report.paired.compared import LEVEL, Compared, Pair
from deltakit.report.paired.flips import Flip

__all__ = ["record"]


def record(compared: Compared, *, items: bool = True) -> dict[str, Any]:
    """JSON-able: `reference`, `models`, `tasks`, `pairs` (every statistic; with `items` every item that changed, and
    the documents left out), `warnings`, and what it was computed with. Values are shares or nats, not per cent."""
    models = [
        {"name": run.name, "model": run.source, "file": run.where, "content": run.content, "bytes": run.nbytes,
         "model_bytes": run.model_bytes, "conditions": dict(run.conditions)}
        for run in compared.runs
    ]  # fmt: skip
    return {
        "action": "compare",
        "reference": compared.reference.name,
        "level": LEVEL,
        "seed": compared.seed,
        "draws": compared.draws,
        "comparisons": len(compared.pairs),
        "models": models,
        "tasks": dict(compared.labels),
        "pairs": [_pair(p, items) for p in compared.pairs],
        "warnings": list(compared.warnings),
    }


def _pair(p: Pair, items: bool) -> dict[str, Any]:
    found = {
        "task": p.label, "model": p.model, "metric": p.pairing.metric, "lower_is_better": p.lower,
        **p.found.record(), "p_holm": p.p_holm, "verdict": p.verdict,
        "flip_rates": {"lost": p.found.lost / p.found.n, "gained": p.found.gained / p.found.n},
        "left_out": {"only_reference": len(p.pairing.only_first), "only_model": len(p.pairing.only_second),
                     "targets_differ": len(p.pairing.disagreeing)},
    }  # fmt: skip
    if items:
        found["documents_left_out"] = {
            "only_reference": list(p.pairing.only_first), "only_model": list(p.pairing.only_second),
            "targets_differ": list(p.pairing.disagreeing),
        }  # fmt: skip
        found["items"] = [_flip(flip) for flip in p.flips]
    return found


def _flip(flip: Flip) -> dict[str, Any]:
    sides = {
        name: {"score": score, "answer": answer, "responses": list(responses)}
        for name, score, answer, responses in zip(
            ("reference", "model"), (flip.before, flip.after), flip.answers, flip.responses, strict=True
        )
    }
    about = {"doc_id": flip.doc_id, "doc_hash": flip.doc_hash, "question": flip.question, "target": flip.target}
    return {**about, "change": flip.change, **sides}
