from __future__ import annotations

import json
from pathlib import Path

import pytest

from deltakit.grade.abstain import abstains, marked_abstains


@pytest.mark.parametrize(
    "text",
    [
        "None", "N/A.", " unknown ", "It cannot be determined.", "We can't calculate the total.",
        "There is not enough information to answer.", "The price of a cupcake is not given.",
        "We do not know how many cookies she sold.", "The problem doesn't say.", "There is insufficient data here.",
        "It is impossible to determine the height.", "More information is needed.", "The number of boys is missing.",
    ],
)  # fmt: skip
def test_what_says_that_something_is_missing(text: str) -> None:
    assert abstains(text)


@pytest.mark.parametrize(
    "text", ["", "5", "He has 5 apples left.", "She does not eat the cake, so 3 are left.", "Nonetheless 4"]
)
def test_what_does_not(text: str) -> None:
    assert abstains(text) is None


def test_a_marked_number_is_an_answer_whatever_stands_before_it() -> None:
    assert marked_abstains("We do not know the price, say 4.\nThe answer is: 20") is None
    assert marked_abstains("So it is 20.\n#### None")
    assert marked_abstains("The answer is: cannot be determined.")
    assert marked_abstains("It cannot be determined.")
    assert marked_abstains(r"We do not know it, so \boxed{5}") is None
    assert marked_abstains("The answer is:") is None


def test_the_reference_solutions_of_gsm_plus_are_told_apart(shared_data: Path) -> None:
    rows = [json.loads(line) for line in (shared_data / "gsm_plus" / "testmini.jsonl").read_text().splitlines()]
    critical = [row["perturbation_type"] == "critical thinking" for row in rows]
    marked = [marked_abstains(row["solution"]) is not None for row in rows]
    assert marked == critical
