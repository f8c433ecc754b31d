import random
from collections import Counter
from itertools import permutations

import pytest

from deltakit.grade.answers import Form
from deltakit.grade.votes import camps, tally, vote


def test_equal_values_are_one_camp() -> None:
    assert camps(["18", "18.00", "17", None, "$18$", "17.0"], "number") == [0, 0, 2, None, 0, 2]
    assert camps([r"\frac12", "0.5", "1/2", "x", "y", "x"], "math") == [0, 0, 0, 3, 4, 3]
    assert camps([" red", "red", "Red"], "text") == [0, 0, 2]
    assert camps(["many", "many", "few"], "number") == [0, 0, 2]  # no numbers, but the same words
    assert camps([], "number") == []


@pytest.mark.parametrize(
    ("answers", "winner"),
    [
        (["17", "18", "18.00"], 1),
        ([None, None, None, "4"], 3),
        ([None, None], None),
        ([], None),
        (["1", "2", "2", "1"], 0),
        (["3", "1", "2", "2", "1"], 1),
    ],
)
def test_the_most_named_wins_and_of_equals_the_earlier(answers: list[str | None], winner: int | None) -> None:
    assert vote(camps(answers, "number")) == winner


def test_against_a_plain_count() -> None:
    draw = random.Random(5)
    for _ in range(200):
        answers = [draw.choice(["1", "2", "3", None]) for _ in range(draw.randint(1, 9))]
        counts = Counter(a for a in answers if a is not None)
        expected = max(counts.values(), default=0)
        won = vote(camps(answers, "number"))
        assert (won is None) == (not counts)
        if won is not None:
            assert counts[answers[won]] == expected
            assert won == answers.index(answers[won])
            assert all(counts[a] < expected for a in answers[:won] if a is not None)
        assert tally(camps(answers, "number")) == [float(counts[a]) if a is not None else 0.0 for a in answers]


@pytest.mark.parametrize("form", ["number", "math"])
def test_a_strict_majority_wins_in_any_order(form: Form) -> None:
    for order in permutations(["18", "18.0", "18.00", "17", "17.0"]):
        assert order[vote(camps(order, form)) or 0].startswith("18")


def test_weights_are_summed_by_camp() -> None:
    of = camps(["1", "2", "1.0", None], "number")
    assert tally(of, [0.25, 0.5, 0.5, 9.0]) == [0.75, 0.5, 0.75, 0.0]
    assert vote(of, [0.125, 0.5, 0.25, 9.0]) == 1


def test_expressions_of_one_value_do_not_split_the_vote() -> None:
    assert camps([r"\pi/2", "3", r"\frac{\pi}{2}", "x=3", "1,2", "2,1"], "math") == [0, 1, 0, 1, 4, 4]
