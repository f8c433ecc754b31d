from pathlib import Path

import pytest

from deltakit.errors import InputError, RecipeError
from deltakit.generate.play import Ask
from deltakit.generate.request import Completion
from deltakit.generate.scorers import SCORERS
from support.modes import scored

FOUND = [Completion("a", (1,), "eos"), Completion("bb", (2,), "eos")]
CODE = """
def vowels(prompt, answers): return [prompt.count(a) + len(a) for a in answers]
def short(prompt, answers): return [1.0]
def odd(prompt, answers): return [float('nan')] * len(answers)
def broken(prompt, answers): raise KeyError('weights')
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_reward.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_the_users_function_scores() -> None:
    assert scored("program(entry='my_reward:vowels')", Ask("aaa", 4), FOUND) == [4.0, 2.0]


@pytest.mark.parametrize(
    ("name", "says"), [("short", "for 2 answers"), ("odd", "nan"), ("broken", "my_reward:broken failed: KeyError")]
)
def test_what_it_says_is_checked(name: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        scored(f"program(entry='my_reward:{name}')", Ask("aaa", 4), FOUND)


@pytest.mark.parametrize("entry", ["my_reward", "my_reward:", ":vowels", "my_reward:missing", "no_such_module:f"])
def test_a_wrong_entry_is_told_before_anything_is_drawn(entry: str) -> None:
    with pytest.raises(RecipeError, match="program"):
        SCORERS.parse(f"program(entry={entry!r})")
