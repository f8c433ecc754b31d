"""Echo, skip, replace, stop."""

import io
from pathlib import Path

import pytest

from deltakit.errors import InputError
from deltakit.pipeline.plan import Plan, Step
from deltakit.pipeline.run import run_plan, standing
from deltakit.pipeline.state import STATE_NAME


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").write_text("3")
    return tmp_path


STEPS = (
    Step("first", ("copy", "in", "-o", "out/a")),
    Step("second", ("copy", "out/a", "-o", "out/b")),
    Step("third", ("show", "out/b"), save=Path("out/c")),
)
PLAN = Plan("p", Path("out"), STEPS)


class Machine:
    """Two commands: `copy IN -o OUT` refuses an existing OUT; `show IN` prints. `fail` names one that exits with 3."""

    def __init__(self, fail: str = "", code: int = 3) -> None:
        self.ran: list[tuple[str, ...]] = []
        self.fail, self.code = fail, code

    def __call__(self, argv) -> int:
        self.ran.append(tuple(argv))
        if argv[-1] == self.fail:
            return self.code
        if argv[0] == "show":
            print(Path(argv[1]).read_text())
            return 0
        out = Path(argv[3])
        if out.exists() and "--overwrite" not in argv:
            return 3
        out.write_text(Path(argv[1]).read_text() + "!")
        return 0


def go(machine: Machine, plan: Plan = PLAN, **more):
    shown: list[str] = []
    return run_plan(plan, machine, show=shown.append, data=io.StringIO(), **more), "\n".join(shown)


def test_every_command_is_echoed_and_run_in_order():
    machine = Machine()
    outcome, shown = go(machine)
    assert machine.ran == [s.argv for s in STEPS]
    assert (outcome.code, outcome.failed) == (0, None)
    assert Path("out/c").read_text() == "3!!\n"
    for line in ("# [1/3] first", "$ deltakit copy in -o out/a", "$ deltakit show out/b > out/c"):
        assert line in shown
    assert not list(Path("out").glob("*.lock"))


def test_finished_steps_are_skipped_and_told():
    go(Machine())
    machine = Machine()
    outcome, shown = go(machine)
    assert machine.ran == []
    assert all(d.skipped for d in outcome.steps)
    assert "$" not in shown
    assert shown.count("skipped") == 3
    assert standing(PLAN) == [True, True, True]


def test_what_depends_on_a_change_runs_again_and_replaces_its_own():
    go(Machine())
    Path("in").write_text("4")
    assert standing(PLAN) == [False, True, True]
    machine = Machine()
    go(machine)
    assert machine.ran == [(*STEPS[0].argv, "--overwrite"), (*STEPS[1].argv, "--overwrite"), STEPS[2].argv]
    assert Path("out/c").read_text() == "4!!\n"


def test_a_change_without_effect_stops_there():
    go(Machine())
    Path("out/a").unlink()
    machine = Machine()
    go(machine)
    assert machine.ran == [STEPS[0].argv]  # the same bytes came back, so what follows is still right


def test_a_failure_stops_with_its_code_and_goes_on_later():
    outcome, _ = go(Machine(fail="out/b", code=5))
    assert outcome.code == 5
    assert outcome.failed is not None
    assert outcome.failed.name == "second"
    assert len(outcome.steps) == 2
    machine = Machine()
    assert go(machine)[0].code == 0
    assert machine.ran == [s.argv for s in STEPS[1:]]


def test_what_somebody_else_made_is_not_replaced():
    go(Machine())
    Path("out/b").write_text("by hand")
    Path("in").write_text("5")
    outcome, _ = go(Machine())
    assert outcome.code == 3
    assert Path("out/b").read_text() == "by hand"
    assert go(Machine(), again=True)[0].code == 0
    assert Path("out/b").read_text() == "5!!"


def test_a_refusal_does_not_make_the_output_ours():
    Path("out").mkdir()
    Path("out/a").write_text("by hand")
    for _ in range(2):
        assert go(Machine())[0].code == 3
    assert Path("out/a").read_text() == "by hand"


def test_a_saved_file_that_is_not_ours_is_not_replaced():
    Path("out").mkdir()
    Path("out/c").write_text("by hand")
    with pytest.raises(InputError, match="not from this step"):
        go(Machine())
    assert Path("out/c").read_text() == "by hand"


def test_a_saved_file_appears_only_when_the_command_is_right():
    assert go(Machine(fail="out/b"), Plan("p", Path("out"), STEPS[2:]))[0].code == 3
    assert sorted(p.name for p in Path("out").iterdir()) == [STATE_NAME]


def test_killed_steps_run_again_and_replace_what_they_left():
    class Killed(Machine):
        def __call__(self, argv) -> int:
            super().__call__(argv)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(Killed())
    machine = Machine()
    assert go(machine)[0].code == 0
    assert machine.ran[0] == (*STEPS[0].argv, "--overwrite")


def test_an_expected_code_is_right_and_another_is_wrong():
    def plan(expect: int) -> Plan:
        return Plan("p", Path("out"), (Step("fails", ("show", "out/b"), expect=expect),))

    assert go(Machine(fail="out/b", code=6), plan(6))[0].code == 0
    assert go(Machine(fail="out/b", code=5), plan(6), again=True)[0].code == 5
    Path("out/b").write_text("")
    assert go(Machine(), plan(6), again=True)[0].code == 6


def test_again_runs_everything():
    go(Machine())
    machine = Machine()
    go(machine, again=True)
    assert machine.ran == [(*STEPS[0].argv, "--overwrite"), (*STEPS[1].argv, "--overwrite"), STEPS[2].argv]


def test_two_runs_of_one_folder_exclude_each_other():
    def nested(argv) -> int:
        with pytest.raises(InputError, match="another run"):
            go(Machine())
        return 3

    assert run_plan(PLAN, nested, show=lambda _: None).code == 3


def test_stdout_of_commands_goes_where_it_is_wanted(capsys):
    data = io.StringIO()
    run_plan(Plan("p", Path("out"), (Step("s", ("show", "in")),)), Machine(), show=lambda _: None, data=data)
    assert data.getvalue() == "3\n"
    assert capsys.readouterr().out == ""
