"""What is checked before anything runs: candidates, settings, tasks, items, models."""

from pathlib import Path
from typing import Any

import pytest

from deltakit.errors import DeltakitError, InputError, RecipeError
from deltakit.pipeline.sweep.plan import STANDING, plan_sweep, preview
from support.sweeps import family, recipe


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return family(tmp_path_factory.mktemp("family"))


def test_a_plan_knows_every_candidate_and_every_answer(models: Path) -> None:
    plan = plan_sweep(recipe(models))
    shown = preview(plan, "out")
    base, math, chat = (models / n for n in ("base", "math", "chat"))
    assert [c["model"] for c in shown["candidates"]] == [f"{base} + {x}*{math} + {x}*{chat}" for x in (0.2, 0.4, 0.6)]
    assert shown["answers"] == 3 * 8 + 3 * 8  # candidates by selection; winner, base, merge as it stands by test
    assert shown["tasks"]["toy_math"] == {"weight": 1.0, "select": 4, "test": 4}
    assert shown["notes"] == []
    assert plan.compared(None, Path("x")) == [f"base={base}", f"{STANDING}={base} + 1.0*{math} + 1.0*{chat}"]
    assert plan.compared(plan.standing, Path("x")) == [f"base={base}"]


def test_a_test_is_of_models_as_they_would_be_written(models: Path) -> None:
    """Weights rounded to the stored dtype, one model over the other; the choice may be made in mixed batches."""
    plan = plan_sweep(recipe(models))
    assert (plan.select.settings.place, plan.test.settings.place) == ("auto", "swap")
    mixed = plan_sweep(recipe(models, settings={"place": "mixed"}))
    assert (mixed.select.settings.place, mixed.test.settings.place) == ("mixed", "mixed")


def test_equal_candidates_are_counted_once(models: Path) -> None:
    halves = {"lambda": [0.5, 1], "models.math.weight": [0.5, 1], "models.chat.weight": [0.5, 1]}
    assert preview(plan_sweep(recipe(models, search=halves)), None)["models"] == 7


def test_a_sampler_that_draws_is_not_asked(models: Path) -> None:
    drawn = recipe(models, search={"lambda": {"low": 0.1, "high": 1.0}}, sampler="optuna(trials=5)")
    shown = preview(plan_sweep(drawn), None)
    assert (shown["candidates"], shown["models"]) == ([], 5)


@pytest.mark.parametrize(
    ("more", "kind", "said"),
    [
        ({"search": {"lamda": [1]}}, RecipeError, "'lamda' is no field of the merge"),
        ({"search": {"dtype": ["float7"]}}, DeltakitError, "float7"),
        ({"search": {"lambda": ["a", "b"]}}, RecipeError, "some candidates are no merges"),
        ({"search": {"lambda": {"low": 0, "high": 1}}}, RecipeError, "low and high are for a sampler that draws"),
        ({"sampler": "optuna(trails=5)"}, RecipeError, "no parameter 'trails'"),
        ({"sampler": "optuna(trials='5')"}, RecipeError, "trials: "),
        ({"tasks": ["toy_maths"]}, RecipeError, "unknown task 'toy_maths'"),
        ({"settings": {"stile": "qa"}}, RecipeError, "settings: has no parameter 'stile'"),
        ({"settings": {"max_new_tokens": "2"}}, RecipeError, "settings: max_new_tokens: "),
        ({"settings": {"limit": 3}}, RecipeError, "settings: limit stand under select: and test:"),
        ({"select": {"split": "holdout"}}, RecipeError, "holdout"),
        ({"test": {"limit": 4, "beside": ["winner=models/other"]}}, RecipeError, "two models of one name"),
        ({"test": {"limit": 4, "beside": ["expert=models/none"]}}, InputError, "models/none"),
    ],
)
def test_what_is_wrong_is_said_at_once(
    models: Path, more: dict[str, Any], kind: type[DeltakitError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        plan_sweep(recipe(models, **more))


def test_a_missing_model_is_an_error_of_planning(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="base"):
        plan_sweep(recipe(tmp_path))


def test_items_of_the_test_do_not_choose(models: Path) -> None:
    same = {"limit": 4, "split": "test", "seed": 0}
    with pytest.raises(RecipeError, match="has no honest test score") as wrong:
        plan_sweep(recipe(models, select=same))
    assert wrong.value.details[0] == "toy_math: 4 of 4 items of the selection are items of the test"
    loud = plan_sweep(recipe(models, select={**same, "same_items": True}))
    assert [n.partition(":")[0] for n in loud.notes] == ["WARNING", "WARNING"]
    assert "4 of 4 items" in loud.notes[0]


def test_a_method_that_lacks_the_searched_field_has_no_standing_merge(models: Path) -> None:
    given = recipe(models)
    merge = {**given.merge.model_dump(mode="json", by_alias=True, exclude_unset=True), "method": "dare_linear"}  # type: ignore[union-attr]
    plan = plan_sweep(recipe(models, merge=merge, search={"density": [0.5, 1.0]}))
    assert plan.standing is None
    assert [c["model"].startswith("a lazy view") for c in preview(plan, None)["candidates"]] == [True, False]


def test_other_bytes_are_another_sweep(models: Path, tmp_path: Path) -> None:
    moved = family(tmp_path)
    before = plan_sweep(recipe(moved)).identity()
    assert plan_sweep(recipe(moved)).identity() == before
    family(tmp_path, chat=9)
    assert plan_sweep(recipe(moved)).identity() != before
    assert plan_sweep(recipe(moved, select={"limit": 5})).identity() != before
