"""Sweeps on tiny models: a family on disk, recipes over it, and an evaluation whose scores are known beforehand."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from deltakit.pipeline.sweep.recipe import SweepRecipe, sweep_recipe
from deltakit.recipe import make_recipe
from support.running import state, write_folder

__all__ = ["Told", "family", "recipe"]

_TERM = re.compile(r"([-\d.e]+)\*\S*math")


def family(folder: Path, chat: int = 2) -> Path:
    """base, and math and chat that were moved from it; `chat` is the seed of its move. Tiny models that run."""
    base = state(0)
    for seed, name in ((0, "base"), (1, "math"), (chat, "chat")):
        write_folder(folder / name, seed)
        moved = base if name == "base" else {n: t + 0.1 * state(seed)[n] for n, t in base.items()}
        save_file(moved, folder / name / "model.safetensors", {"format": "pt"})
    return folder


def recipe(models: Path, **more: Any) -> SweepRecipe:
    """Task arithmetic over lambda on four items of each toy task; `more` replaces keys of the sweep."""
    merge = {
        "base": str(models / "base"),
        "models": [{"name": "math", "model": str(models / "math")}, {"name": "chat", "model": str(models / "chat")}],
    }
    given: dict[str, Any] = {
        "merge": merge, "search": {"lambda": [0.2, 0.4, 0.6]}, "tasks": ["toy_math", "toy_chat"],
        "select": {"limit": 4}, "test": {"limit": 4}, "settings": {"max_new_tokens": 2},
    }  # fmt: skip
    return make_recipe({**given, **more}, sweep_recipe())


class Told:
    """Stands in for the evaluation: `score(share of math, item)` is what each item gets; `calls` lists the names of
    the models of each call, `fail` names of models that cannot be evaluated."""

    def __init__(self, score: Callable[[float, int], float], fail: Sequence[str] = (), items: int = 20) -> None:
        self.score, self.fail, self.items = score, fail, items
        self.calls: list[list[str]] = []
        self.texts: list[str] = []

    def __call__(self, models: Sequence[str], tasks: Sequence[str], settings: Any, **_: Any) -> dict[str, Any]:
        from deltakit.errors import MismatchError

        named = [text.partition("=")[::2] for text in models]
        self.calls.append([name for name, _ in named])
        self.texts += [text for _, text in named]
        if wrong := [name for name, _ in named if name in self.fail]:
            raise MismatchError(f"{wrong[0]}: does not run", remedy="none")
        found = [
            {
                "name": n,
                "model": t,
                "tasks": {task: self._task(t) for task in tasks},
                "device": "cpu",
                "dtype": "float32",
            }
            for n, t in named
        ]
        return {"versions": {}, "models": found}

    def _task(self, text: str) -> dict[str, Any]:
        share = _TERM.search(text)
        values = [self.score(float(share[1]) if share else 0.0, i) for i in range(self.items)]
        mean = sum(values) / len(values)
        spread = (sum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values)) ** 0.5
        samples = [{"doc_id": i, "filters": {"marked": {"exact_match": v}}} for i, v in enumerate(values)]
        return {
            "accuracy": mean, "stderr": spread, "n": len(values), "headline": "exact_match,marked", "samples": samples
        }  # fmt: skip
