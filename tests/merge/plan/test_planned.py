"""A planned merge says everything before a weight is read."""

from __future__ import annotations

from pathlib import Path

from deltakit.merge.plan.planned import shown
from deltakit.tensors import TensorSpec
from support.merging import family, plan


def test_what_a_plan_says_of_itself(tmp_path: Path) -> None:
    base, models = family(tmp_path)
    made = plan("ties", base, models)
    assert made.method == "ties"
    assert made.named == (base, *models)
    assert {c.source for c in made.checkpoints} == {base, *models}
    assert made.actions()["norm.weight"] == {"action": "ties", "shape": [63], "dtype": "F32", "bytes": 252}
    assert made.merged is not None
    assert made.parent is not None
    assert made.parent.source == base


def test_without_a_base_there_is_no_delta(tmp_path: Path) -> None:
    _, models = family(tmp_path)
    assert plan("linear", None, models).merged is None
    assert plan("linear", None, models).parent is None


def test_measuring_ahead_runs_every_pass(tmp_path: Path) -> None:
    base, models = family(tmp_path)
    made = plan("ties", base, models)
    assert len(made.measures) == 3  # a threshold for each model, and the majority sign
    made.measure()


def test_a_spec_for_people() -> None:
    assert shown(TensorSpec((2, 3), "BF16")) == {"shape": [2, 3], "dtype": "BF16", "bytes": 12}
