import math

import pytest

from deltakit.errors import RecipeError
from deltakit.generate.play import Ask
from deltakit.generate.request import Completion
from deltakit.generate.scorers import SCORERS
from support.modes import scored


def said(*texts: str) -> list[Completion]:
    return [Completion(text, (1,), "eos") for text in texts]


def test_answers_of_equal_value_stand_together() -> None:
    found = said("The answer is: 18.", "no idea", "The answer is: 17", "so \\boxed{18.0}")
    assert scored("majority", Ask("Q", 4), found) == [0.5, 0.0, 0.25, 0.5]
    assert scored("majority(form='number', extract='last_number')", Ask("Q", 4), said("2", "3 2", "4"))[0] == 2 / 3


def test_weights_are_of_another_scorer() -> None:
    likely = {
        "The answer is: 1": math.log(0.5),
        "The answer is: 2": math.log(0.125),
        "The answer is: 2.0": math.log(0.25),
    }
    found = said(*likely)
    scores = scored("majority(weights='likelihood')", Ask("Q", 4), found, lambda w: (likely[w.continuation], False))
    assert scores == pytest.approx([0.5 / 0.875, 0.375 / 0.875, 0.375 / 0.875])
    assert scored("majority(weights='length')", Ask("Q", 4), said("", "")) == [0.0, 0.0]


@pytest.mark.parametrize("given", ["form='words'", "extract='phrases'", "weights='likely'"])
def test_parameters_are_checked(given: str) -> None:
    with pytest.raises(RecipeError) as caught:
        SCORERS.parse(f"majority({given})")
    assert "did you mean" in str(caught.value.remedy) or "known" in str(caught.value.remedy)
