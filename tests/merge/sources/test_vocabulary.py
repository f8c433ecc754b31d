"""Tensors and rows that models add, lack, or have in another dtype."""

import numpy as np
import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.errors import MismatchError, RecipeError
from support.merging import draw, plan, store, tune, values


@pytest.fixture
def models(tmp_path):
    """base; same (its shapes); grown and longer, which add rows; headed, which adds a tensor; short, bare."""
    base = draw(0)
    made = {"base": base, "same": tune(base, 1)}
    for name, rows in [("grown", 1), ("longer", 2)]:
        more = tune(base, rows + 10)
        made[name] = {**more, "head.weight": np.concatenate([more["head.weight"], np.full((rows, 7), float(rows))])}
    made["headed"] = {**tune(base, 3), "extra.weight": np.ones((2, 2))}
    made["short"] = {**tune(base, 4), "head.weight": np.zeros((8, 7))}
    made["bare"] = {n: a for n, a in tune(base, 5).items() if n != "norm.weight"}
    return {name: store(tmp_path / name, arrays) for name, arrays in made.items()}


def merge(models, *names, **more):
    items = [{"model": models[n], "name": n} for n in names]
    return plan("task_arithmetic", models["base"], items, **more)


def test_rows_that_the_base_lacks_need_a_choice(models):
    with pytest.raises(MismatchError) as caught:
        merge(models, "same", "grown", "headed")
    assert set(caught.value.details) == {
        "grown: head.weight has 1 rows that the base lacks",
        "headed: extra.weight is not in the base",
    }
    assert "vocabulary" in caught.value.remedy


@pytest.mark.parametrize("name", ["grown", "short"])
def test_other_numbers_of_rows_offer_base_union_and_padding(models, name):
    with pytest.raises(MismatchError) as caught:
        merge(models, "same", name)
    assert caught.value.exit_code == 3
    assert all(word in caught.value.remedy for word in ("source: base", "source: union", "pad_to_multiple_of"))


def test_the_bases_vocabulary_drops_them_and_says_so(models):
    made = merge(models, "same", "grown", "headed", vocabulary="base")
    assert made.tensors.specs == open_checkpoint(models["base"]).specs
    assert set(made.layout.notes) == {
        "grown: head.weight has 1 rows that the base lacks; dropped",
        "headed: extra.weight is not in the base; dropped",
    }


def test_a_models_vocabulary_keeps_its_rows_as_they_are(models):
    made = merge(models, "grown", "longer", vocabulary="longer")
    found = values(made.tensors)["head.weight"]
    assert found.shape == (11, 7)
    assert np.all(found[9:] == 2.0)
    assert made.layout.notes == ("grown: head.weight has 1 rows that the base lacks; dropped",)
    assert made.actions()["head.weight"]["action"] == "task_arithmetic, 2 added rows kept from longer"


def test_a_models_vocabulary_keeps_its_tensors(models):
    made = merge(models, "same", "headed", vocabulary="headed")
    assert np.all(values(made.tensors)["extra.weight"] == 1.0)
    assert made.actions()["extra.weight"]["action"] == "kept from headed"


def test_the_shared_rows_do_not_depend_on_the_choice(models):
    kept = values(merge(models, "grown", "same", vocabulary="grown").tensors)["head.weight"]
    assert np.array_equal(kept[:9], values(merge(models, "grown", "same", vocabulary="base").tensors)["head.weight"])


def test_a_lone_model_keeps_its_own(models):
    assert values(merge(models, "grown").tensors)["head.weight"].shape == (10, 7)
    assert values(merge(models, "grown", vocabulary="base").tensors)["head.weight"].shape == (9, 7)


def test_vocabulary_must_name_a_model(models):
    with pytest.raises(RecipeError) as caught:
        merge(models, "grown", "same", vocabulary="grwon")
    assert caught.value.remedy == "did you mean 'grown'?"


def test_without_a_base_the_stand_in_is_among_the_choices(models):
    items = [{"model": models[n], "name": n} for n in ("same", "grown")]
    with pytest.raises(MismatchError, match="grown: head.weight"):
        plan("linear", None, items)
    assert plan("linear", None, items, vocabulary="grown").tensors.specs["head.weight"].shape == (10, 7)
    assert plan("linear", None, items, vocabulary="same").tensors.specs["head.weight"].shape == (9, 7)
    with pytest.raises(MismatchError, match="grown: head.weight"):
        plan("slerp", None, items, t=0.5)
    assert plan("slerp", None, items, t=0.5, vocabulary="same").tensors.specs["head.weight"].shape == (9, 7)


def test_what_a_model_lacks_is_an_error_whatever_the_vocabulary(models):
    with pytest.raises(MismatchError) as caught:
        merge(models, "short", "bare", "same", vocabulary="base")
    assert set(caught.value.details) == {
        "short: head.weight has [8, 7], fewer rows than the base's [9, 7]",
        "bare: lacks norm.weight",
    }


def test_dtypes_that_differ_need_a_choice(models, tmp_path):
    half = store(tmp_path / "half", tune(draw(0), 9, "BF16"), "BF16")
    with pytest.raises(MismatchError) as caught:
        plan("task_arithmetic", models["base"], [models["same"], half])
    assert "head.weight: the models' dtypes differ (BF16, F32)" in caught.value.details
    assert caught.value.remedy.startswith("set dtype:")
    made = plan("task_arithmetic", models["base"], [models["same"], half], dtype="float16")
    assert {s.dtype for s in made.tensors.specs.values()} == {"F16"}
