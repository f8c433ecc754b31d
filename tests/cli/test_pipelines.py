"""What run and demo share."""

from pathlib import Path

import pytest

from deltakit.errors import RecipeError
from deltakit.pipeline import Plan, Step
from deltakit_cli.pipelines import call, rehearse, show_plan


def plan(*commands: str) -> Plan:
    return Plan("p", Path("o"), tuple(Step(f"s{i}", tuple(c.split())) for i, c in enumerate(commands)))


def test_commands_are_checked_without_running_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rehearse(plan("extract a b -o c", "ls codecs"), "p.yaml")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", ["extract a b", "extract a", "exract a b -o c", "ls --frmat json", "--version", "ls -h"]
)
def test_each_wrong_step_is_named(command):
    with pytest.raises(RecipeError, match="1 steps cannot run") as wrong:
        rehearse(plan("ls codecs", command), "p.yaml")
    assert wrong.value.details[0].startswith("step 's1': ")


def test_a_call_gives_the_exit_code_and_tells_the_error(capsys):
    assert call(["extract", "/none", "/none", "-o", "x"]) == 3
    assert capsys.readouterr().err.startswith("error: ")


def test_a_plan_is_shown_as_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    show_plan(plan("ls codecs"), "auto")
    assert capsys.readouterr().out == "# s0\ndeltakit ls codecs\n\n"
