"""Pipelines as text."""

import pytest

from deltakit.errors import RecipeError
from deltakit.sparsify.drop import Drop
from deltakit.sparsify.pipeline import parse_pipeline, spell_pipeline
from deltakit.sparsify.trim import Trim


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("drop(density=0.1)", (Drop(0.1),)),
        ("trim(density=0.3)|drop(density=0.5)", (Trim(0.3), Drop(0.5))),
        (" trim(density=0.3, scope='tensor') | drop(density=1, rescale=False) ", (Trim(0.3, "tensor"), Drop(1, False))),
    ],
)
def test_texts_and_back(text, steps):
    assert parse_pipeline(text) == steps
    assert parse_pipeline(spell_pipeline(steps)) == steps


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("drop", "needs density"),
        ("drip(density=0.1)", "did you mean 'drop'"),
        ("drop(denisty=0.1)", "did you mean 'density'"),
        ("drop(0.1)", "cannot read"),
        ("drop(density=0.1) |", "cannot read"),
        ("", "cannot read"),
        ("drop(density='a')", "valid number"),
        ("drop(density=0.1, rescale=0)", "valid boolean"),
        ("drop(density=0)", "not in"),
        ("drop(density=10)", "not in"),
        ("drop(density=0.5)|drop(density=0.5)", "two drops"),
        ("drop(density=__import__('os'))", "literals"),
    ],
)
def test_mistakes(text, said):
    with pytest.raises(RecipeError) as caught:
        parse_pipeline(text)
    assert said in str(caught.value)
