"""The model card: valid front matter, the whole story, and no markup from strangers."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from deltakit.card import RELATIONS, model_card
from deltakit.manifest import describe_input, make_manifest


def manifest(**more: Any) -> dict[str, Any]:
    inputs = [describe_input("org/base", "sha256:1", revision="abc"), describe_input("/local/models/tuned", "sha256:2")]
    made = make_manifest("merge", inputs=inputs, recipe={"method": "ties", "density": 0.2}, seed=42)
    return {**made, "output": {"fingerprint": "sha256:3", "files": {"model.safetensors": 1234567}}, **more}


def front(card: str) -> dict[str, Any]:
    found = yaml.safe_load(card.split("---\n")[1])
    assert isinstance(found, dict)
    return found


def test_the_front_matter() -> None:
    assert front(model_card(manifest(), title="T", tags=["math", "deltakit"], license="apache-2.0")) == {
        "base_model": ["org/base"],
        "base_model_relation": "merge",
        "library_name": "transformers",
        "tags": ["deltakit", "merge", "math"],
        "license": "apache-2.0",
    }


@pytest.mark.parametrize("relation", RELATIONS)
def test_relations_and_given_bases(relation: str) -> None:
    found = front(model_card(manifest(), title="T", relation=relation, base_models=["a/b", "./local", "a/b", "c"]))
    assert found["base_model"] == ["a/b"]
    assert found["base_model_relation"] == relation


def test_without_a_hub_base_there_is_no_relation() -> None:
    found = front(model_card({"action": "x"}, title="T"))
    assert found["base_model"] == []
    assert "base_model_relation" not in found


def test_it_tells_the_whole_story() -> None:
    card = model_card(manifest(), title="My model")
    for part in (
        "# My model",
        "method: ties",
        "density: 0.2",
        "Seed: 42",
        "sha256:1",
        "sha256:3",
        "1,234,567",
        "numpy",
    ):
        assert part in card
    assert "/local" not in card
    assert "tuned" in card


def test_the_same_manifest_gives_the_same_card() -> None:
    assert model_card(manifest(), title="T") == model_card(manifest(), title="T")


@pytest.mark.parametrize(
    "evil", ["<script>alert(1)</script>", "[x](javascript:y)", "a | b | c", "# head", "`code`", "a\n\n# b"]
)
def test_markup_from_strangers_is_shown_as_typed(evil: str) -> None:
    made = manifest(inputs=[{"name": evil, "fingerprint": evil}], action=evil)
    card = model_card(made, title=evil, summary=evil)
    body = card.split("---\n", 2)[2]
    assert "<script" not in body
    assert "](" not in body.replace("\\]\\(", "")
    assert len([line for line in body.splitlines() if line.startswith("# ")]) == 1
    assert not [
        row for row in body.splitlines() if row.startswith("|") and row.replace("\\|", "").count("|") not in (3, 5)
    ]


def test_a_recipe_cannot_leave_its_block() -> None:
    card = model_card(manifest(recipe={"name": "```\n<script>\n````"}), title="T")
    fence = next(line for line in card.splitlines() if line.endswith("yaml") and line.startswith("`"))
    assert card.count(fence.removesuffix("yaml") + "\n") >= 1
    assert len(fence.removesuffix("yaml")) > 4
