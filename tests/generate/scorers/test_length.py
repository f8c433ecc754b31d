import pytest

from deltakit.errors import RecipeError
from deltakit.generate.play import Ask
from deltakit.generate.request import Completion
from deltakit.generate.scorers import SCORERS, best
from support.modes import scored

FOUND = [Completion("", (), "eos"), Completion("a b c", (1, 2, 3), "eos"), Completion("a b", (1, 2), "stop"),
         Completion("a b c d", (1, 2, 3, 4), "length"), Completion("b c", (2, 3), "eos")]  # fmt: skip


def test_whole_answers_are_compared_by_their_tokens() -> None:
    assert best(scored("length", Ask("Q", 4), FOUND)) == 2
    assert best(scored("length(prefer='long')", Ask("Q", 4), FOUND)) == 1
    assert scored("length", Ask("Q", 4), FOUND[:1]) == [float("-inf")]


def test_the_side_is_checked() -> None:
    with pytest.raises(RecipeError, match="short"):
        SCORERS.parse("length(prefer='tall')")
