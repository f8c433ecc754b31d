"""Everything that is wrong with the inputs in one error, whichever check finds it."""

import json

import numpy as np
import pytest

from deltakit.errors import MismatchError
from deltakit.merge.sources.checks import Problems
from support.merging import draw, plan, store, tune


def wrong(*args, **more):
    def check():
        raise MismatchError(*args, **more)

    return check


def test_one_problem_stays_as_it_is():
    problems = Problems()
    assert problems.of(lambda: 3, 0) == 3
    problems.refuse()
    assert problems.of(wrong("a", details=["x"]), 0) == 0
    with pytest.raises(MismatchError, match="^a\n  - x$"):
        problems.refuse()


def test_several_become_one():
    problems = Problems()
    problems.of(wrong("a", remedy="do", details=["x", "y"]), 0)
    problems.of(wrong("b", remedy="do"), 0)
    with pytest.raises(MismatchError, match="a; b") as caught:
        problems.refuse()
    assert caught.value.details == ("x", "y", "b")
    assert caught.value.remedy == "do"


def test_unrelated_weights_other_settings_and_lost_tensors_are_said_together(tmp_path):
    shapes = {"a.weight": (64, 32), "b.weight": (9, 3)}
    base, other = draw(0, shapes=shapes), draw(1, shapes=shapes)
    one = store(tmp_path / "one", {"a.weight": other["a.weight"]})
    (tmp_path / "one" / "config.json").write_text('{"model_type": "toy", "rms_norm_eps": 1}')
    root = store(tmp_path / "base", base)
    (tmp_path / "base" / "config.json").write_text('{"model_type": "toy", "rms_norm_eps": 2}')
    with pytest.raises(MismatchError) as caught:
        plan("task_arithmetic", root, [{"model": one, "name": "one"}])
    assert [d.split(" (")[0] for d in caught.value.details] == [
        "one: unrelated to the base",
        "one: rms_norm_eps is 1, in the base 2",
        "one: lacks b.weight",
    ]


def test_a_head_that_is_tied_in_one_model_is_said_once(tmp_path):
    """Where the tensors tell, the settings need not."""
    base = {**draw(0), "lm_head.weight": np.ones((9, 7), np.float32)}
    root, one = store(tmp_path / "base", base), store(tmp_path / "one", tune(draw(0), 1))
    for folder, tied in (("base", False), ("one", True)):
        (tmp_path / folder / "config.json").write_text(json.dumps({"tie_word_embeddings": tied}))
    with pytest.raises(MismatchError) as caught:
        plan("task_arithmetic", root, [{"model": one, "name": "one"}])
    assert caught.value.details == ("one: lacks lm_head.weight",)
