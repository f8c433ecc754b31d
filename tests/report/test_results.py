"""Rows, scores and intervals."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.errors import CheckpointError, InputError
from deltakit.report.results import LOSS, Score, read_results, rows_of, whiskers
from support.results import result, task, write_json


def score(right: int, n: int) -> Score:
    found = task(right, n)
    return Score(found["accuracy"], found["stderr"], n)


def test_rows_carry_names_sizes_and_scores(tmp_path):
    found = read_results([write_json(tmp_path / "r.json", result())])
    assert [r.name for r in found][:3] == ["base", "experts: math", "experts: chat"]
    assert (found[1].group, found[1].label, found[0].group, found[0].label) == ("experts", "math", "", "base")
    assert found[3].ratio == pytest.approx(2_900_000 / 900_000)
    assert found[4].scores["toy_math"].value == 0.94


def test_held_out_loss_is_a_score_and_a_recipe_has_no_size():
    found = result([("view", None, 1, 1)])
    found["models"][0]["loss"] = {"loss": 1.5, "stderr": 0.1, "records": 7}
    (row,) = rows_of(found, "here")
    assert row.scores[LOSS] == Score(1.5, 0.1, 7)
    assert (row.nbytes, row.ratio, row.ratio_text) == (None, None, "-")


def test_several_files_join_where_tasks_differ(tmp_path):
    first, second = result([("m", 10, 1, 2)]), result([("m", 10, 3, 4), ("n", 1, 1, 1)])
    del first["models"][0]["tasks"]["toy_chat"], second["models"][0]["tasks"]["toy_math"]
    paths = [write_json(tmp_path / "a.json", first), write_json(tmp_path / "b.json", second)]
    rows = read_results(paths)
    assert [(r.name, sorted(r.scores)) for r in rows] == [
        ("m", ["toy_chat", "toy_math"]),
        ("n", ["toy_chat", "toy_math"]),
    ]
    with pytest.raises(InputError, match="already has a score on toy_chat"):
        read_results([*paths, paths[1]])


@pytest.mark.parametrize("broken", [{}, [], {"models": [{}]}, {"models": [{"model": "m", "tasks": {"t": {}}}]}, 3])
def test_what_is_no_result_is_refused(broken):
    with pytest.raises(InputError, match="no result of"):
        rows_of(broken, "here")


def test_files_that_cannot_be_read_are_told(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_results([tmp_path / "none.json"])
    (tmp_path / "cut.json").write_text('{"models": [')
    with pytest.raises(CheckpointError, match=r"cut\.json is not JSON"):
        read_results([tmp_path / "cut.json"])


def test_wilson_has_width_at_the_ends_and_known_values():
    low, high = score(200, 200).interval
    assert (low, high) == (pytest.approx(0.98115, abs=1e-4), pytest.approx(1.0))
    low, high = score(15, 50).interval  # Wilson (1927) for 15 of 50: 0.1910 .. 0.4375
    assert (low, high) == (pytest.approx(0.1910, abs=1e-3), pytest.approx(0.4375, abs=1e-3))


@given(st.integers(2, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_value_and_stays_a_share(counts):
    found = score(*counts)
    low, high = found.interval
    assert found.is_share
    assert -1e-12 <= low <= found.value <= high <= 1 + 1e-12


def test_other_means_have_normal_intervals():
    assert Score(5.0, 1.0, 9).interval == (pytest.approx(3.04, abs=1e-2), pytest.approx(6.96, abs=1e-2))
    assert Score(0.5, 0.4, 9).is_share is False
    assert Score(0.5, None, 1).interval is None
    assert Score(None, 0.1, 9).interval is None


def test_what_is_not_finite_is_no_number():
    found = result([("m", 1, 1, 1)])
    found["models"][0]["tasks"]["toy_math"] |= {"accuracy": math.inf, "stderr": None}
    assert rows_of(found, "here")[0].scores["toy_math"] == Score(None, None, 200)


def test_whiskers_reach_to_the_ends_of_the_interval():
    below, above = whiskers([Score(0.3, math.sqrt(0.3 * 0.7 / 49), 50), Score(0.5, None, 1), Score(None, None, 3)])
    assert (below[0], above[0]) == (pytest.approx(10.90, abs=0.01), pytest.approx(13.75, abs=0.01))
    assert (below[1:], above[1:]) == ([0.0, 0.0], [0.0, 0.0])
