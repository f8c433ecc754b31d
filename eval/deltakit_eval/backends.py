"""Who answers and where it sits: which decoder serves a model that is alone in memory, by name."""

from __future__ import annotations

from collections.abc import Sequence

from deltakit.delta.open import Model
from deltakit.errors import RecipeError
from deltakit.generate import Host
from deltakit.generate.backend import Backend
from deltakit.registry import did_you_mean

__all__ = ["BACKENDS", "PLACES", "check_backend", "check_place", "served"]

BACKENDS = ("deltakit", "transformers", "vllm")  # ours, transformers' own `generate`, vLLM
PLACES = ("auto", "mixed", "swap")  # see `deltakit_eval.stations`


def check_backend(backend: str) -> None:
    """RecipeError, with a suggestion, for a backend that nobody knows."""
    _check("backend", backend, BACKENDS)


def check_place(place: str) -> None:
    """RecipeError, with a suggestion, for a place that nobody knows."""
    _check("place", place, PLACES)


def _check(what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise RecipeError(f"unknown {what} {name!r}", remedy=did_you_mean(name, list(known)))


def served(model: Model, host: Host, backend: str) -> tuple[Backend, str | None]:
    """A backend over this model, the last one's room being reused, and the digest of its whole weights (None: they were
    read by another program)."""
    if backend == "vllm":
        from deltakit.generate.vllm import serve_vllm

        return serve_vllm(model.source, dtype=host.dtype_of(model)), None
    engine = host.serve(model)
    if backend == "transformers":
        from deltakit.generate.reference import Reference

        return Reference(engine.model, engine.tokenizer, engine.eos), host.content
    return engine, host.content
