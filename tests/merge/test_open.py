"""A recipe wherever a model is named."""

import pytest

from deltakit.delta.open import local_paths, open_model
from deltakit.errors import RecipeError
from deltakit.merge.open import open_recipe, recipe_models
from support.cli import call
from support.merging import family, plan
from support.tensors import whole


@pytest.fixture
def written(tmp_path):
    base, models = family(tmp_path, 2, "BF16")
    lines = "".join(f"  - model: {m}\n" for m in models)
    (tmp_path / "r.yaml").write_text(f"deltakit: 1\nmethod: ties\nbase: {base}\nmodels:\n{lines}")
    return tmp_path / "r.yaml", base, models


def test_a_recipe_is_a_lazy_model(written):
    path, base, models = written
    want = whole(plan("ties", base, models).tensors)
    assert whole(open_model(str(path)).tensors) == want
    assert whole(open_recipe(path).tensors) == want
    assert open_recipe(path).sidecar.config == {"model_type": "toy", "torch_dtype": "bfloat16"}


def test_it_knows_its_base_and_delta(written):
    path, base, _ = written
    made = open_recipe(path)
    assert made.base is not None
    assert made.base.source == base
    assert made.delta is not None


def test_a_recipe_can_be_a_model_of_an_expression_and_of_a_recipe(written, tmp_path):
    path, base, models = written
    assert whole(open_model(f"{base} + {path}").tensors) == whole(open_recipe(path).tensors)
    outer = plan("task_arithmetic", base, [str(path), {"model": models[0], "weight": 0.5}]).tensors
    assert whole(outer) == whole(open_model(f"{base} + {path} + 0.5*{models[0]}").tensors)


def test_a_bad_recipe_says_so(tmp_path):
    (tmp_path / "r.yaml").write_text("method: ties\n")
    with pytest.raises(RecipeError, match="deltakit: 1"):
        open_model(str(tmp_path / "r.yaml"))


def test_an_output_lies_apart_from_models_named_within_recipes(written, tmp_path):
    path, base, models = written
    assert recipe_models(path) == (base, *models)
    assert {str(p) for p in local_paths(f"{base} + {path}")} >= {base, str(path), *models}
    outer = tmp_path / "outer.yaml"
    outer.write_text(f"deltakit: 1\nbase: {base}\nmodels:\n  - model: {path}\n  - model: {outer}\n")
    assert {str(p) for p in local_paths(str(outer))} >= {str(path), *models}


def test_a_merge_never_writes_over_a_model_that_a_nested_recipe_reads(written, tmp_path):
    path, base, models = written
    before = whole(open_model(models[1]).tensors)
    done = call("merge", "--base", base, "--model", path, "-o", models[1], "--overwrite")
    assert done.code == 3, done.err
    assert "input" in done.err
    assert whole(open_model(models[1]).tensors) == before
