"""Linear merges as expressions: the same bytes as the merge itself, and nothing that is not linear."""

from pathlib import Path

import pytest

from deltakit.delta.open import open_model
from deltakit.errors import RecipeError
from deltakit.merge.plan.linear import linear_expression
from deltakit.merge.plan.native import plan_recipe
from deltakit.merge.plan.recipe import MergeRecipe, merge_recipe
from deltakit.recipe import make_recipe
from support.merge_world import family


def recipe(**more: object) -> MergeRecipe:
    models = [{"model": "math", "weight": 0.6}, {"model": "chat", "weight": 0.5}]
    return make_recipe({"base": "base", "models": models, **more}, merge_recipe())


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({}, "base + 0.6*math + 0.5*chat"),
        ({"lambda": 0.5}, "base + 0.3*math + 0.25*chat"),
        ({"lambda": -1e-7}, "base + -6e-08*math + -5e-08*chat"),
        ({"lambda": 0.0}, "base + 0.0*math + 0.0*chat"),
        ({"method": "linear", "models": [{"model": "math", "weight": 3.0}, {"model": "chat"}]},
         "base + 0.75*math + 0.25*chat"),
        ({"method": "dare_linear", "density": 1.0}, "base + 0.6*math + 0.5*chat"),
    ],
)  # fmt: skip
def test_a_weighted_sum_is_an_expression(more: dict[str, object], text: str) -> None:
    assert linear_expression(recipe(**more)) == text


@pytest.mark.parametrize(
    "more",
    [
        {"method": "ties"}, {"method": "dare_linear", "density": 0.5}, {"method": "della_linear", "density": 0.5},
        {"base": None}, {"dialect": "mergekit"}, {"dtype": "float16"}, {"vocabulary": "base"},
        {"heads": "base"}, {"lora": 4},
        {"post": "lines(alpha=0.2, beta=0.8)"}, {"method": "linear", "normalize": False},
        {"models": [{"model": "base + 0.5*math"}]},
    ],
    ids=str,
)  # fmt: skip
def test_what_an_expression_has_no_words_for_is_none(more: dict[str, object]) -> None:
    assert linear_expression(recipe(**more)) is None


def test_weights_that_do_not_fit_are_refused() -> None:
    cancel = [{"model": "math", "weight": 1.0}, {"model": "chat", "weight": -1.0}]
    with pytest.raises(RecipeError, match="which nothing divides by"):
        linear_expression(recipe(method="linear", models=cancel))


@pytest.mark.parametrize("method", ["task_arithmetic", "linear"])
@pytest.mark.parametrize("scale", [1.0, 0.0, 0.7])
def test_both_are_the_same_model_bit_for_bit(tmp_path: Path, method: str, scale: float) -> None:
    made = family(tmp_path)
    models = [{"model": str(made / "math"), "weight": 0.6}, {"model": str(made / "chat"), "weight": 0.5}]
    factor = {"lambda": scale} if method == "task_arithmetic" else {}
    wanted = recipe(base=str(made / "base"), models=models, method=method, **factor)
    text = linear_expression(wanted)
    assert text is not None
    one, other = plan_recipe(wanted).tensors, open_model(text).tensors
    assert one.specs == other.specs
    for name in one.specs:
        assert bytes(one.buffer(name)) == bytes(other.buffer(name)), name


def test_many_checkpoints_of_one_entry_are_terms_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in (2, 10):
        (tmp_path / f"checkpoint-{step}").mkdir()
    monkeypatch.chdir(tmp_path)
    models = [{"model": "checkpoint-*", "weight": 0.5}]
    assert linear_expression(recipe(models=models)) == "base + 0.5*checkpoint-2 + 0.5*checkpoint-10"
