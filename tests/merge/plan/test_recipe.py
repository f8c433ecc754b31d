"""The merge recipe: keys of all methods, checked against the one that is named."""

import pytest

from deltakit.errors import RecipeError
from deltakit.merge.plan.recipe import merge_recipe, methods_of
from deltakit.recipe import json_schema, read_recipe
from deltakit.sparsify.drop import Drop
from deltakit.sparsify.trim import Trim

TEXT = """deltakit: 1
method: dare_ties
base: b
lambda: 0.5
density: 0.2
models:
  - {model: x, name: math, weight: 0.6}
  - {model: y, density: 0.9}
"""


def read(text):
    return read_recipe(text, merge_recipe())


def test_parameters_of_a_model_go_before_the_recipes():
    recipe = read(TEXT)
    assert [m.each for m in methods_of(recipe)] == [(Drop(0.2), Trim(0.2)), (Drop(0.9), Trim(0.2))]
    assert recipe.lambda_ == 0.5
    assert [m.weight for m in recipe.models] == [0.6, 1.0]


def test_the_default_is_task_arithmetic():
    recipe = read("deltakit: 1\nbase: b\nmodels: [{model: x}]\n")
    assert (recipe.method, recipe.seed, recipe.lambda_) == ("task_arithmetic", 42, 1.0)


def test_density_may_stand_with_the_models_alone():
    recipe = read(TEXT.replace("density: 0.2\n", "").replace("weight: 0.6", "density: 0.3"))
    assert [m.each[0] for m in methods_of(recipe)] == [Drop(0.3), Drop(0.9)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("dare_ties", "dare_tis"), "unknown method 'dare_tis'"),
        (("dare_ties", "linear"), "method 'linear' has no parameter 'density'"),
        (("density: 0.2", "t: 0.2"), "method 'dare_ties' has no parameter 't'"),
        (("density: 0.2", "density: 1.2"), "density 1.2 is not in"),
        (("density: 0.2\n", ""), "needs density"),
        (("density: 0.9", "t: 0.9"), "model 'y': method 'dare_ties' has no parameter 't'"),
    ],
)
def test_what_does_not_fit_the_method(change, said):
    with pytest.raises(RecipeError, match=said):
        methods_of(read(TEXT.replace(*change)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("lambda", "lamda"), "did you mean 'lambda'"),
        (("weight: 0.6", "wieght: 0.6"), "did you mean 'weight'"),
        (("density: 0.2", "denisty: 0.2"), "did you mean 'density'"),
        (("density: 0.2", "density: '0.2'"), "line 5"),
        (("weight: 0.6", "weight: .inf"), "not a finite number"),
        (("model: x", "model: ''"), "line 7"),
    ],
)
def test_what_is_no_merge_recipe(change, said):
    with pytest.raises(RecipeError) as caught:
        read(TEXT.replace(*change))
    assert said in str(caught.value)


def test_a_parameter_of_the_whole_merge_cannot_differ_between_models():
    text = "deltakit: 1\nmethod: linear\nmodels: [{model: x}, {model: y, normalize: false}]\n"
    with pytest.raises(RecipeError, match="model 'y': normalize cannot differ"):
        methods_of(read(text))


def test_the_schema_knows_every_key():
    keys = json_schema(merge_recipe())["properties"]
    assert {"deltakit", "method", "base", "models", "lambda", "density", "trim_density", "t", "normalize"} <= set(keys)
