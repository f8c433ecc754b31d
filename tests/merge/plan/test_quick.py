"""Merges described by options."""

import pytest

from deltakit.errors import RecipeError
from deltakit.merge.plan.quick import parse_model, read_merge


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("a/b", {"model": "a/b"}),
        ("a/b:0.5", {"model": "a/b", "weight": 0.5}),
        ("a/b:-1e-2", {"model": "a/b", "weight": -0.01}),
        ("org/name@rev:1", {"model": "org/name@rev", "weight": 1.0}),
        ("math=a/b:.5", {"name": "math", "model": "a/b", "weight": 0.5}),
        ("math=a/b", {"name": "math", "model": "a/b"}),
        ("C:\\models\\m", {"model": "C:\\models\\m"}),
        ("base + 0.5*d:2", {"model": "base + 0.5*d", "weight": 2.0}),
    ],
)
def test_model_options(text, item):
    assert parse_model(text) == item


def test_a_path_that_exists_is_taken_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "v=1:2").mkdir()
    assert parse_model("v=1:2") == {"model": "v=1:2"}


def test_options_and_file_give_the_same_recipe(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("deltakit: 1\nmethod: ties\nbase: b\ndensity: 0.3\nlambda: 2\nmodels: [{model: x, weight: 0.5}]\n")
    options = {"method": "ties", "base": "b", "density": 0.3, "lambda": 2.0}
    assert read_merge(None, ["x:0.5"], options) == read_merge(path, [], {})
    assert read_merge(path, [], {}, ["density=0.4"]).density == 0.4


@pytest.mark.parametrize(("models", "options"), [(["x"], {}), ([], {"density": 0.5})])
def test_a_file_and_options_together_are_refused(tmp_path, models, options):
    with pytest.raises(RecipeError, match="both given"):
        read_merge(tmp_path / "r.yaml", models, options)


def test_overrides_need_a_file():
    with pytest.raises(RecipeError, match="--set"):
        read_merge(None, ["x"], {}, ["density=0.5"])


def test_options_are_checked_as_strictly():
    with pytest.raises(RecipeError, match="lambda"):
        read_merge(None, ["x"], {"lambda": float("nan")})
