"""The pipeline recipe is read strictly."""

import pytest

from deltakit.errors import RecipeError
from deltakit.pipeline.recipe import PipelineRecipe
from deltakit.recipe import json_schema, read_recipe

GOOD = """deltakit: 1
pipeline: two steps
variables: {density: 0.2, task: toy_math, tries: 3}
steps:
  - {name: a, run: ls methods}
  - {name: b, run: ls codecs, save: "{out}/codecs.txt", expect: 3, inputs: [x.txt]}
"""
CLAIM = "claims:\n  - {say: it works, model: m, task: t, %s}\n"


def read(text: str) -> PipelineRecipe:
    return read_recipe(text, PipelineRecipe)


def test_a_recipe_reads_as_it_is_written():
    found = read(GOOD)
    assert [s.name for s in found.steps] == ["a", "b"]
    assert found.variables == {"density": 0.2, "task": "toy_math", "tries": 3}
    assert (found.steps[1].expect, found.steps[1].inputs) == (3, ("x.txt",))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("run: ls methods", "run: ls methods, sav: x"), "did you mean 'save'"),
        (("name: b", "name: a"), "steps named twice: a"),
        (("density: 0.2", "out: x"), "set by deltakit itself"),
        (("density: 0.2", "Density: 0.2"), "Density"),
        (("expect: 3", "expect: 300"), "less than or equal to 255"),
        (("expect: 3", "expect: '3'"), "valid integer"),
        (("steps:", CLAIM % "above: 1" + "steps:"), "claims need results"),
        (("steps:", "results: r\n" + CLAIM % "above: 1, below: 2" + "steps:"), "give one of above"),
        (("steps:", "results: r\n" + CLAIM % "times: m" + "steps:"), "give one of above"),
    ],
)
def test_what_is_wrong_is_told(change, says):
    with pytest.raises(RecipeError) as wrong:
        read(GOOD.replace(*change))
    assert says in str(wrong.value)


def test_no_steps_is_an_error():
    with pytest.raises(RecipeError, match="steps"):
        read("deltakit: 1\npipeline: none\nsteps: []\n")


def test_it_has_a_schema():
    assert "steps" in json_schema(PipelineRecipe)["required"]
