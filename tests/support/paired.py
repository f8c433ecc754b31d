"""Results with samples, as `deltakit eval -o` writes them, from strings of right and wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["about", "model", "paired_result", "sample"]

_HEAD = "Below is an instruction.\n\n### Instruction:\n"
_TAIL = "\n\n### Response: Let's think step by step."


def sample(i: int, value: Any, **more: Any) -> dict[str, Any]:
    """Document i; by the lenient filter every item is right."""
    said = "4" if value == 1 else "5"
    return {
        "doc_id": i, "doc_hash": f"hash-{i}", "prompt": f"{_HEAD}What is {i} + {i}?{_TAIL}", "target": "4",
        "responses": [f"It is {said}."],
        "filters": {"marked": {"answer": [said], "exact_match": value, "answered": 1.0},
                    "last_number": {"answer": [said], "exact_match": 1.0}}, **more,
    }  # fmt: skip


def task(values: str | Sequence[Any], **more: Any) -> dict[str, Any]:
    """ "1101" or a list of scores: one sample each."""
    scores = [float(v) for v in values] if isinstance(values, str) else list(values)
    known = [v if isinstance(v, int | float) else 0.0 for v in scores]
    return {"accuracy": sum(known) / max(1, len(known)), "stderr": 0.01, "n": len(scores), "version": 1,
            "headline": "exact_match,marked", "metrics": [], "samples": [sample(i, v) for i, v in enumerate(scores)],
            **more}  # fmt: skip


def model(name: str, values: str | Sequence[Any], size: int | None = 1000, **more: Any) -> dict[str, Any]:
    """One model on toy_math."""
    return {"name": name, "model": f"models/{name}", "bytes": size, "model_bytes": 4000, "loss": None,
            "dtype": "float32", "device": "cpu", "content": f"sha256:{name}", "tasks": {"toy_math": task(values)},
            **more}  # fmt: skip


def about(**config: Any) -> dict[str, Any]:
    """What a result says about its task."""
    return {"n": 4, "version": 1, "documents": "sha256:0",
            "config": {"task": "deltakit_toy_math", "num_fewshot": 0, "generation_kwargs": {"max_gen_toks": 64},
                       **config}}  # fmt: skip


def paired_result(models: Mapping[str, Any] | Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A whole result; a mapping of names to scores is enough."""
    made = [model(name, values) for name, values in models.items()] if isinstance(models, Mapping) else list(models)
    settings = {"seed": 0, "batch_tokens": 32768, "max_rows": 256, "style": None, "limit": 4}
    return {"schema_version": 1, "action": "eval", "models": made, "tasks": {"toy_math": about()},
            "settings": settings, "versions": {"torch": "2.13"}, **more}  # fmt: skip
