"""A blueprint becomes one lazy model: slices, layers with weights of their own, dtypes of arithmetic and result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deltakit.merge.plan.assemble import assemble
from deltakit.merge.plan.blueprint import Blueprint, Piece, Read, Use
from deltakit.merge.sources.source import Source, View, open_source
from deltakit.merge.tokens.aligned import Aligned
from support.merging import Arrays, draw, store, tune, values

SHAPES = {f"model.layers.{i}.up.weight": (5, 3) for i in range(4)} | {"embed.weight": (9, 3), "norm.weight": (3,)}


@pytest.fixture
def arrays() -> dict[str, Arrays]:
    base = draw(0, "F32", SHAPES)
    return {"base": base, "a": tune(base, 1), "b": tune(base, 2)}


@pytest.fixture
def sources(tmp_path: Path, arrays: dict[str, Arrays]) -> dict[str, Source]:
    return {n: open_source(n, store(tmp_path / n, made)) for n, made in arrays.items()}


def layer(i: int) -> str:
    return f"model.layers.{i}.up.weight"


def made(sources: dict[str, Source], pieces: dict[str, Piece], **more: Any) -> Any:
    more = {"base": "base", "dialect": "paper", **more}
    blueprint = Blueprint({n: s.text for n, s in sources.items()}, pieces, "base", **more)
    return assemble(blueprint, Aligned(sources, 9), {"merge_method": "test"})


def copy(model: str, name: str) -> Piece:
    return Piece("linear", (Use(Read(model, name)),))


def test_slices_of_several_models_and_a_layer_twice(sources: dict[str, Source], arrays: dict[str, Arrays]) -> None:
    order = [("a", 0), ("a", 1), ("b", 1), ("b", 2), ("b", 3)]
    pieces = {layer(i): copy(model, layer(j)) for i, (model, j) in enumerate(order)}
    pieces |= {"embed.weight": copy("a", "embed.weight"), "norm.weight": copy("b", "norm.weight")}
    plan = made(sources, pieces, base=None)
    found = values(plan.tensors)
    for i, (model, j) in enumerate(order):
        assert np.array_equal(found[layer(i)], arrays[model][layer(j)])
    assert np.array_equal(found["embed.weight"], arrays["a"]["embed.weight"])
    assert sorted(plan.order) == sorted(pieces)
    assert plan.action(layer(2), plan.tensors.specs[layer(2)]) == "linear of b:model.layers.1.up.weight"


def test_every_layer_has_its_weights(sources: dict[str, Source], arrays: dict[str, Arrays]) -> None:
    weights = [0.0, 0.25, 0.5, 1.0]
    pieces = {
        layer(i): Piece("task_arithmetic", (Use(Read("a", layer(i)), w),), Read("base", layer(i)))
        for i, w in enumerate(weights)
    }
    found = values(made(sources, pieces).tensors)
    for i, w in enumerate(weights):
        base, tuned = arrays["base"][layer(i)], arrays["a"][layer(i)]
        assert np.allclose(found[layer(i)], base + np.float32(w) * (tuned - base), atol=1e-6)


def test_the_result_has_the_dtype_asked_for(sources: dict[str, Source]) -> None:
    plan = made(sources, {"norm.weight": copy("a", "norm.weight")}, out_dtype="BF16")
    assert plan.tensors.specs["norm.weight"].dtype == "BF16"
    assert plan.sidecar.config == {"model_type": "toy", "torch_dtype": "bfloat16"}
    assert plan.merged is None


def test_models_that_are_watched_are_each_named_once(sources: dict[str, Source]) -> None:
    plan = made(sources, {"norm.weight": copy("a", "norm.weight"), "embed.weight": copy("a", "embed.weight")})
    assert [c.source for c in plan.checkpoints] == [s.text for s in sources.values()]
    assert plan.named == tuple(s.text for s in sources.values())


def test_a_result_that_equals_its_base_says_so(sources: dict[str, Source]) -> None:
    same = {n: copy("base", n) for n in SHAPES}
    assert made(sources, same).equals() == sources["base"].text
    assert made(sources, {**same, "norm.weight": copy("a", "norm.weight")}).equals() == ""


def test_rows_that_the_base_lacks_are_left_out_and_named(
    tmp_path: Path, sources: dict[str, Source], arrays: dict[str, Arrays]
) -> None:
    grown = {**arrays["a"], "embed.weight": np.ones((11, 3), np.float32)}
    sources["a"] = open_source("a", store(tmp_path / "grown", grown))
    piece = Piece("task_arithmetic", (Use(Read("a", "embed.weight")),), Read("base", "embed.weight"))
    plan = made(sources, {"embed.weight": piece})
    assert plan.tensors.specs["embed.weight"].shape == (9, 3)
    assert plan.warnings == ("a: embed.weight has 2 rows that the base lacks; dropped",)


def test_the_manifest_names_inputs_and_dialect(sources: dict[str, Source]) -> None:
    manifest = made(sources, {"norm.weight": copy("a", "norm.weight")}).manifest()
    assert [(i["role"], i["key"]) for i in manifest["inputs"]] == [("base", "base"), ("model", "a"), ("model", "b")]
    assert manifest["recipe"] == {"merge_method": "test", "dialect": "paper"}


def test_a_view_keeps_the_order_of_the_disk(sources: dict[str, Source]) -> None:
    view = View(sources["a"].tensors, {"x": "norm.weight", "y": "embed.weight"})
    assert view.order == ("y", "x")
    assert list(view.specs) == ["x", "y"]
