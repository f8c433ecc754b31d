"""Small families of models for tests of merging: arrays, folders, recipes; and the whole-model oracles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deltakit.merge.plan.plan import Plan, plan_merge
from deltakit.merge.plan.recipe import MergeRecipe, merge_recipe
from deltakit.recipe import make_recipe
from deltakit.tensors import TensorMap, from_float32, to_float32
from support.models import save
from support.tensors import tensor

Array = np.ndarray[Any, np.dtype[np.float32]]
Arrays = dict[str, Array]
SHAPES: Mapping[str, tuple[int, ...]] = {
    "empty.weight": (0, 3),
    "head.weight": (9, 7),
    "norm.weight": (63,),
    "one.weight": (1,),
    "scalar": (),
    "up.weight": (7, 9, 2),
}


def rounded(arrays: Mapping[str, Any], dtype: str) -> Arrays:
    """The values as they are once stored."""
    return {
        n: to_float32(from_float32(np.asarray(a, np.float32), dtype).tobytes(), dtype).reshape(np.shape(a))
        for n, a in arrays.items()
    }


def draw(seed: int, dtype: str = "F32", shapes: Mapping[str, tuple[int, ...]] = SHAPES) -> Arrays:
    """A base: normal values, among them a negative zero."""
    rng = np.random.default_rng(seed)
    made = {n: np.asarray(rng.standard_normal(s), np.float32) for n, s in sorted(shapes.items())}
    for values in made.values():
        if values.size > 4:
            values.ravel()[3] = -0.0
    return rounded(made, dtype)


def tune(base: Mapping[str, Array], seed: int, dtype: str = "F32", size: float = 0.1) -> Arrays:
    """A fine-tune of a base: some elements moved."""
    rng = np.random.default_rng(seed)
    moved = {
        n: b + (size * rng.standard_normal(b.shape) * (rng.random(b.shape) < 0.8)).astype(np.float32)
        for n, b in sorted(base.items())
    }
    return rounded(moved, dtype)


def store(folder: Path, arrays: Mapping[str, Any], dtype: str = "F32") -> str:
    """A model folder of arrays; its path."""
    save(folder / "model.safetensors", {n: tensor(arrays[n], dtype) for n in sorted(arrays)})
    (folder / "config.json").write_text('{"model_type": "toy", "torch_dtype": "float32"}')
    return str(folder)


def family(folder: Path, count: int = 2, dtype: str = "F32", **kinds: Any) -> tuple[str, list[str]]:
    """(base, models) as folders."""
    base = draw(0, dtype)
    models = [store(folder / f"m{i}", tune(base, 10 + i, dtype, **kinds), dtype) for i in range(count)]
    return store(folder / "base", base, dtype), models


def recipe(method: str, base: str | None, models: list[Any], **more: Any) -> MergeRecipe:
    """A recipe from plain values; models are paths or items."""
    items = [m if isinstance(m, dict) else {"model": m} for m in models]
    more = {"lambda" if k == "scale" else k: v for k, v in more.items()}
    return make_recipe({"method": method, "base": base, "models": items, **more}, merge_recipe(), "test")


def plan(method: str, base: str | None, models: list[Any], **more: Any) -> Plan:
    """The plan of such a recipe."""
    return plan_merge(recipe(method, base, models, **more))


def values(source: TensorMap) -> Arrays:
    """All tensors as float32."""
    return {n: to_float32(source.buffer(n), s.dtype).reshape(s.shape) for n, s in source.specs.items()}


def flat(arrays: Mapping[str, Array]) -> Array:
    """A whole model as one vector, in name order."""
    return np.concatenate([arrays[n].ravel() for n in sorted(arrays)])


def unflat(vector: Array, like: Mapping[str, Array]) -> Arrays:
    """The tensors of a vector made by `flat`."""
    made, at = {}, 0
    for name in sorted(like):
        made[name] = vector[at : at + like[name].size].reshape(like[name].shape)
        at += like[name].size
    return made
