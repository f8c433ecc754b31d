"""Stamps and records."""

import json
import os

import pytest

from deltakit.errors import InputError
from deltakit.pipeline.plan import Step
from deltakit.pipeline.state import STATE_NAME, Digests, Record, State, stamp


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x").write_text("one")
    return tmp_path


STEP = Step("s", ("extract", "in", "-o", "out"))


def now(step=STEP) -> str:
    return stamp(step, Digests())


def test_a_stamp_changes_with_command_and_contents(here):
    before = now()
    assert now() == before
    assert now(Step("s", ("extract", "in", "-o", "other"))) != before
    assert now(Step("s", STEP.argv, expect=6)) != before
    (here / "in" / "x").write_text("two")
    assert now() != before
    (here / "in" / "x").write_text("one")
    assert now() == before
    (here / "in" / "x").rename(here / "in" / "y")
    assert now() != before


def test_further_inputs_count(here):
    step = Step("s", ("sft", "r"), inputs=(here / "data",))
    before = now(step)
    (here / "data").write_text("records")
    assert now(step) != before


def test_a_digest_is_taken_again_when_the_file_changed(here):
    digests, path = Digests(), here / "in" / "x"
    first = digests.of(path)
    path.write_text("other text")
    assert digests.of(path) != first
    assert digests.of(here / "nothing") == "absent"


def test_records_survive_and_tell_finished_from_changed(here):
    state, digests = State(here), Digests()
    (here / "out").write_text("made")
    state.put("s", Record("stamp", {"out": digests.of(here / "out")}, 1.5))
    again = State(here)
    assert again.get("s") == Record("stamp", {"out": digests.of(here / "out")}, 1.5)
    assert again.finished("s", "stamp", digests)
    assert not again.finished("s", "other", digests)
    assert not again.finished("t", "stamp", digests)
    assert again.owns("s", [here / "out"], digests) is False  # known under another name
    os.truncate(here / "out", 1)
    assert not again.finished("s", "stamp", Digests())


def test_a_step_that_was_only_begun_is_not_finished_but_owns_its_outputs(here):
    state = State(here)
    state.put("s", Record("stamp"))
    assert not state.finished("s", "stamp", Digests())
    assert state.owns("s", [here / "in" / "x"], Digests())
    state.put("s", None)
    assert State(here).get("s") is None
    assert not state.owns("s", [here / "in" / "x"], Digests())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": 9, "steps": {}}',
                                  '{"schema_version": 1, "steps": {"s": {"bad": 1}}}'])  # fmt: skip
def test_a_damaged_state_is_refused(here, text):
    (here / STATE_NAME).write_text(text)
    with pytest.raises(InputError, match="no state of a pipeline"):
        State(here)


def test_the_file_is_json_for_people(here):
    State(here).put("s", Record("stamp", {}, 2.0))
    found = json.loads((here / STATE_NAME).read_text())
    assert found["steps"]["s"] == {"stamp": "stamp", "outputs": {}, "seconds": 2.0}
    assert not list(here.glob(".*"))
