from itertools import combinations

import pytest

from deltakit.errors import RecipeError
from deltakit.grade.passk import at_k, in_groups, pass_at_k


def test_pass_at_k_is_the_share_of_subsets_with_a_right_answer() -> None:
    for n in range(1, 9):
        for correct in range(n + 1):
            right = [i < correct for i in range(n)]
            for k in range(1, n + 1):
                subsets = list(combinations(right, k))
                assert pass_at_k(n, correct, k) == pytest.approx(sum(map(any, subsets)) / len(subsets), abs=1e-12)


def test_pass_at_1_is_the_share_of_right_answers_and_large_numbers_hold() -> None:
    assert pass_at_k(7, 3, 1) == pytest.approx(3 / 7)
    assert pass_at_k(2000, 1, 1000) == pytest.approx(0.5)
    assert pass_at_k(2000, 0, 1000) == 0.0


@pytest.mark.parametrize(("n", "correct", "k"), [(4, 2, 0), (4, 2, 5), (4, 5, 2), (4, -1, 2), (0, 0, 1)])
def test_impossible_counts_are_refused(n: int, correct: int, k: int) -> None:
    with pytest.raises(RecipeError):
        pass_at_k(n, correct, k)


def test_groups_use_every_answer_once() -> None:
    seen: list[int] = []
    assert in_groups(7, 3, lambda at: float(seen.extend(at) or at.start)) == 1.5
    assert seen == [0, 1, 2, 3, 4, 5]
    assert in_groups(4, 4, lambda at: float(len(at))) == 4.0
    with pytest.raises(RecipeError, match="groups of 5"):
        in_groups(4, 5, len)


def test_which_k_are_reported() -> None:
    assert [at_k(n) for n in (1, 2, 3, 8, 10, 64)] == [
        [], [2], [2, 3], [2, 4, 8], [2, 4, 8, 10], [2, 4, 8, 16, 32, 64]
    ]  # fmt: skip
