"""Programs run once, isolated; without a sandbox they are refused."""

from pathlib import Path

import pytest

from deltakit.errors import RecipeError
from deltakit.generate.play import Run
from deltakit.sandbox.probe import available
from deltakit_eval.answers import Answers
from deltakit_eval.programs import Programs

isolated = pytest.mark.skipif(available() is None, reason="nothing here isolates programs")


@isolated
def test_equal_programs_run_once_and_are_remembered(tmp_path: Path) -> None:
    asked = [Run("print(1 + 1)"), Run("print(1 + 1)"), Run("raise ValueError('no')")]
    with Answers(tmp_path) as answers, Programs(answers) as programs:
        assert programs.about() is None
        first = programs(asked)
        assert [o.stdout.strip() for o in first] == ["2", "2", ""]
        assert [o.status for o in first] == ["ok", "ok", "error"]
        assert first[0] is first[1]
        assert len(answers) == 2
        assert programs.about()
    with Answers(tmp_path) as answers, Programs(answers) as programs:
        assert programs(asked) == first  # to the second that they took: nothing ran again


@isolated
def test_a_program_that_ran_out_of_time_is_tried_again() -> None:
    answers = Answers()
    with Programs(answers) as programs:
        (outcome,) = programs([Run("while True: pass", seconds=0.5)])
    assert outcome.status == "timeout"
    assert len(answers) == 0


def test_an_unknown_permission_is_an_error() -> None:
    with Programs(Answers(), "perhaps") as programs, pytest.raises(RecipeError, match="perhaps"):
        programs([Run("print(1)")])
