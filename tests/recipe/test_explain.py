"""Locations of pydantic, also through unions and mappings, in the words of the file."""

import json
from typing import Annotated

import pydantic
import pytest
from pydantic import Field

from deltakit.recipe.document import parse_document
from deltakit.recipe.explain import explain
from deltakit.recipe.section import Section


class Drop(Section):
    density: float


class Trim(Section):
    density: float
    scope: str = "tensor"


class Outer(Section):
    step: Annotated[Drop | Trim, Field(description="a union")] | None = None
    named: dict[str, Drop] = {}
    steps: list[Drop | Trim] | None = None


def problems(text: str) -> list[str]:
    document = parse_document(text)
    with pytest.raises(pydantic.ValidationError) as caught:
        Outer.model_validate_json(json.dumps(document.data), strict=True)
    return explain(caught.value, Outer, document.data, document)


def test_unions_suggest_the_keys_of_every_branch():
    assert "line 1: unknown key 'step.scpe'; did you mean 'scope'?" in problems("step: {density: 1, scpe: x}")


def test_values_of_mappings_and_items_of_lists():
    assert problems("named:\n  a:\n    densty: 1\n")[0].startswith("line 2: missing key 'density' in named.a")
    assert "did you mean 'density'?" in problems("steps:\n  - densty: 1\n")[-1]


def test_long_values_are_shortened():
    (text,) = problems(f"named: {'x' * 100}")
    assert text.endswith("xxx...")
    assert len(text) < 150


def test_a_missing_key_that_is_misspelt():
    assert problems("step: {densty: 1}")[0] == "line 1: missing key 'density' in step; it is spelt 'densty'"
    assert "line 1: missing key 'density' in step; add it" in problems("step: {scope: x}")
