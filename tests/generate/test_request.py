import pytest

from deltakit.errors import RecipeError
from deltakit.generate.request import Request


def test_length_counts_prompt_and_answer() -> None:
    assert Request((1, 2, 3), 10).length == 13


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"prompt": ()}, "empty prompt"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"stop": ("a", "")}, "empty stop"),
        ({"temperature": -0.1}, "temperature -0.1"),
        ({"temperature": float("nan")}, "temperature nan"),
        ({"temperature": float("inf")}, "temperature inf"),
        ({"top_p": 0.0}, "top_p 0.0"),
        ({"top_k": -1}, "top_k -1"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, object], says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        Request(**{"prompt": (1,), "max_new_tokens": 4, **given})
