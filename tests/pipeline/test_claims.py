"""Claims against results."""

import pytest

from deltakit.errors import RecipeError
from deltakit.pipeline.claims import check_claims
from deltakit.pipeline.recipe import ClaimRecipe
from support.results import result, write_json


@pytest.fixture
def results(tmp_path):
    rows = [("math", 1, 190, 0), ("dare", 1, 171, 0), ("gone", 1, 10, 0)]
    return write_json(tmp_path / "r.json", result(rows))


def verdict(results, **claim):
    (found,) = check_claims([ClaimRecipe(say="so", task="toy_math", **claim)], results)
    return found


@pytest.mark.parametrize(
    ("claim", "holds"),
    [
        ({"model": "math", "above": 0.94}, True), ({"model": "math", "above": 0.95}, False),
        ({"model": "math", "at_least": 0.95}, True), ({"model": "math", "below": 0.95}, False),
        ({"model": "math", "at_most": 0.95}, True),
        ({"model": "dare", "at_least": 0.89, "times": "math"}, True),
        ({"model": "dare", "at_least": 0.91, "times": "math"}, False),
        ({"model": "gone", "at_most": 0.1, "times": "math"}, True),
    ],
)  # fmt: skip
def test_bounds(results, claim, holds):
    assert verdict(results, **claim).holds is holds


def test_a_verdict_shows_its_numbers(results):
    found = verdict(results, model="dare", at_least=0.9, times="math")
    assert found.found == "dare, toy_math: 85.5 %, to be >= 85.5 % = 0.9 x 95.0 % (math)"


@pytest.mark.parametrize(
    ("claim", "says"),
    [
        ({"model": "mth"}, "did you mean 'math'"),
        ({"model": "math", "times": "dar"}, "did you mean 'dare'"),
    ],
)
def test_unknown_models_are_errors(results, claim, says):
    with pytest.raises(RecipeError) as wrong:
        verdict(results, above=0.5, **claim)
    assert says in str(wrong.value)


def test_unknown_tasks_and_no_number_are_errors(results, tmp_path):
    with pytest.raises(RecipeError, match="no task"):
        check_claims([ClaimRecipe(say="so", model="math", task="gsm8k", above=0.5)], results)
    broken = result([("math", 1, 100, 0)])
    broken["models"][0]["tasks"]["toy_math"]["accuracy"] = None
    with pytest.raises(RecipeError, match="no finite"):
        verdict(write_json(tmp_path / "b.json", broken), model="math", above=0.5)
