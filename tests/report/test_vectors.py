"""Task vectors pair by pair and along the layers."""

from __future__ import annotations

from typing import Any

import pytest

from deltakit.report.vectors import draw, draw_layers, read_vectors, sections


def pair(a: str, b: str, cosine: float | None, signs: float | None = 0.75) -> dict[str, Any]:
    return {"pair": [a, b], "cosine": cosine, "sign_agreement": signs}


def tensor(name: str, cosine: float | None) -> dict[str, Any]:
    return {"name": name, "relative": [0.1, 0.2], "pairs": [pair("math", "chat", cosine)]}


FOUND: dict[str, Any] = {
    "models": ["math", "chat"],
    "whole": {"name": "", "relative": [0.3, 0.4], "pairs": [pair("math", "chat", 0.25)]},
    "tensors": [
        tensor("model.embed_tokens.weight", 0.9),
        tensor("model.layers.0.mlp.up_proj.weight", 0.5),
        tensor("model.layers.0.mlp.down_proj.weight", 0.1),
        tensor("model.layers.1.mlp.up_proj.weight", None),
    ],
}


def test_pairs_and_layers_have_a_section_each() -> None:
    whole, layers = sections(read_vectors(FOUND, "base"))
    assert whole.rows == (("math", "chat", "0.2500", "0.7500"),)
    assert whole.picture is not None
    assert whole.picture.stem == "cosines-1"
    assert layers.columns == ("layer", "math / chat")
    assert layers.rows == (("0", "0.3000"),)  # the mean of a layer's tensors; layer 1 did not change


def test_norms_become_comparisons_with_the_base() -> None:
    first, second = read_vectors(FOUND, "base").norms()
    assert (first.first, first.second, first.total) == ("base", "math", 0.3)
    assert second.relative["model.embed_tokens.weight"] == 0.2


def test_one_model_alone_has_no_pairs() -> None:
    alone = {"models": ["math"], "whole": {"name": "", "relative": [0.3], "pairs": []}, "tensors": []}
    assert sections(read_vectors(alone, "base")) == []


def test_the_matrix_is_symmetric_with_its_numbers() -> None:
    axes = draw(read_vectors(FOUND, "base")).axes[0]
    grid = axes.images[0].get_array()
    assert grid[0][1] == grid[1][0] == 0.25
    assert [t.get_text() for t in axes.texts] == ["1.00", "0.25", "0.25", "1.00"]


def test_lines_along_the_layers_are_named() -> None:
    axes = draw_layers(["a / b", "a / c"], [{0: 0.1, 1: 0.2}, {0: 0.3}]).axes[0]
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["a / b", "a / c"]


def test_anything_else_is_refused() -> None:
    with pytest.raises(KeyError):
        read_vectors({"models": []}, "base")
