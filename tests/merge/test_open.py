"""A recipe wherever a model is named."""

import pytest

from deltakit.delta.open import open_model
from deltakit.errors import RecipeError
from deltakit.merge.open import merged, open_recipe
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
    assert whole(merged(path)) == want
    assert open_recipe(path).sidecar.config == {"model_type": "toy", "torch_dtype": "bfloat16"}


def test_it_knows_its_base_and_delta(written):
    path, base, _ = written
    made = open_recipe(path)
    assert made.base is not None
    assert made.base.source == base
    assert made.delta is not None


def test_a_recipe_can_be_a_model_of_an_expression_and_of_a_recipe(written, tmp_path):
    path, base, models = written
    assert whole(open_model(f"{base} + {path}").tensors) == whole(merged(path))
    outer = plan("task_arithmetic", base, [str(path), {"model": models[0], "weight": 0.5}]).tensors
    assert whole(outer) == whole(open_model(f"{base} + {path} + 0.5*{models[0]}").tensors)


def test_a_bad_recipe_says_so(tmp_path):
    (tmp_path / "r.yaml").write_text("merge_method: ties\n")
    with pytest.raises(RecipeError, match="mergekit"):
        open_model(str(tmp_path / "r.yaml"))
