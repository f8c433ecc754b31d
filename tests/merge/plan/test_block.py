"""Tensors that are made alike form one block; parameters and reads are checked before anything is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deltakit.errors import MismatchError, RecipeError
from deltakit.merge.plan.block import blocks_of
from deltakit.merge.plan.blueprint import Blueprint, Piece, Read, Use
from deltakit.merge.sources.source import Source, open_source
from support.merging import draw, store, tune


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Source]:
    base = draw(0)
    store(tmp_path / "base", base)
    store(tmp_path / "a", tune(base, 1))
    store(tmp_path / "b", tune(base, 2), "BF16")
    return {label: open_source(label, str(tmp_path / label)) for label in ("base", "a", "b")}


def piece(name: str, weights: tuple[float, ...] = (0.5, 0.5), method: str = "task_arithmetic", **more: object) -> Piece:
    uses = tuple(Use(Read(label, name), w) for label, w in zip("ab", weights, strict=True))
    return Piece(method, uses, Read("base", name), **more)  # type: ignore[arg-type]


def blueprint(sources: dict[str, Source], pieces: dict[str, Piece]) -> Blueprint:
    return Blueprint({n: s.text for n, s in sources.items()}, pieces, "base", "base", "paper")


def test_pieces_that_differ_in_any_number_are_other_blocks(sources: dict[str, Source]) -> None:
    pieces = {
        "up.weight": piece("up.weight"),
        "head.weight": piece("head.weight"),
        "norm.weight": piece("norm.weight", (0.5, 0.25)),
        "one.weight": piece("one.weight", scale=0.5),
    }
    made = blocks_of(blueprint(sources, pieces), sources)
    assert [b.names for b in made] == [("head.weight", "up.weight"), ("norm.weight",), ("one.weight",)]
    assert [b.scale for b in made] == [1.0, 1.0, 0.5]
    assert [m.weight for m in made[1].inputs.members] == [0.5, 0.25] or made[1].inputs.members[0].label == "b"


def test_mixed_dtypes_meet_in_the_wider(sources: dict[str, Source]) -> None:
    (made,) = blocks_of(blueprint(sources, {"up.weight": piece("up.weight")}), sources)
    assert made.dtype == "F32"
    assert {m.delta.specs["up.weight"].dtype for m in made.inputs.members} == {"F32"}


def test_everything_that_is_lacking_is_listed_at_once(sources: dict[str, Source]) -> None:
    pieces = {"x": piece("x"), "up.weight": piece("up.weight")}
    with pytest.raises(MismatchError) as wrong:
        blocks_of(blueprint(sources, pieces), sources)
    assert wrong.value.details == ("a: lacks x", "b: lacks x", "base: lacks x")


def test_a_model_used_twice_draws_two_masks(sources: dict[str, Source]) -> None:
    uses = (Use(Read("a", "up.weight"), 1.0, {"density": 0.5}),) * 2
    made = Piece("dare_linear", uses, Read("base", "up.weight"))
    (block,) = blocks_of(blueprint(sources, {"up.weight": made}), sources)
    assert sorted(m.key for m in block.inputs.members) == ["a", "a#2"]


def test_without_a_base_the_first_model_stands_in(sources: dict[str, Source]) -> None:
    uses = (Use(Read("a", "up.weight")), Use(Read("b", "up.weight")))
    (block,) = blocks_of(blueprint(sources, {"up.weight": Piece("linear", uses)}), sources)
    assert block.inputs.stand_in == "a"
    itself = next(m for m in block.inputs.members if m.label == "a")
    assert itself.delta.entries["up.weight"].parts == ()
    assert np.array_equal(itself.delta.rows("up.weight", 0, 7), np.zeros((7, 18), np.float32))


def test_what_one_model_alone_cannot_have_is_named(sources: dict[str, Source]) -> None:
    uses = (Use(Read("a", "up.weight"), 1.0, {"normalize": False}), Use(Read("b", "up.weight")))
    with pytest.raises(RecipeError, match="normalize cannot differ between models"):
        blocks_of(blueprint(sources, {"up.weight": Piece("linear", uses)}), sources)


def test_weights_that_the_method_cannot_use_are_refused(sources: dict[str, Source]) -> None:
    with pytest.raises(RecipeError, match="sum to 0"):
        blocks_of(blueprint(sources, {"up.weight": piece("up.weight", (1.0, -1.0), "linear")}), sources)
