"""RAM and RAM+ by hand: what is active, shared and unique."""

import numpy as np
import pytest

from deltakit.errors import RecipeError
from deltakit.merge.method import Group
from deltakit.merge.reduce.ram import Ram
from support.flows import collect, flow


def flow_of(tensors, reduce, scale=1.0):
    flows = tuple(flow(t) for t in tensors)
    return reduce.over(Group(flows, (1.0,) * len(flows), lambda *_: np.zeros(1, np.float32), scale))


def merged(deltas, scale=1.0, **given):
    return collect(flow_of([{"t": d} for d in deltas], Ram(**given), scale), max_bytes=8)["t"]


def test_the_unique_is_taken_and_the_shared_averaged():
    assert merged([[3.0, 2.0, 0.0, 1e-6], [0.0, 4.0, 0.0, 0.0]], 0.5).tolist() == [1.5, 1.5, 0, 0]


def test_what_is_unique_grows_with_what_is_shared():
    one, two = [1.0, 1.0, 1.0, 2.0, 0.0], [0.0, 0.0, 0.0, 4.0, 5.0]
    made = merged([one, two], r=0.3, alpha=0.5)  # shared / unique: 1/3 and 1, the second clipped
    assert made.tolist() == pytest.approx([1.1, 1.1, 1.1, 3, 5 * 1.15])


@pytest.mark.parametrize(("scope", "want"), [("model", 1 + 0.5 * 1 / 2), ("tensor", 1 + 0.5 * 1)])
def test_the_ratio_is_that_of_the_model_or_of_the_tensor(scope, want):
    tensors = [{"a": [1.0, 1.0], "b": [1.0]}, {"a": [1.0, 0.0], "b": [0.0]}]
    made = flow_of(tensors, Ram(r=0.5, alpha=9.0, scope=scope))
    assert made.pull("a", 1, 2).ravel().tolist() == pytest.approx([want])
    assert len(made.measures) == (scope == "model")


def test_a_model_without_unique_changes_is_no_division_by_zero():
    assert merged([[1.0, 2.0], [3.0, 4.0]], r=0.5).tolist() == [2, 3]
    assert merged([np.zeros(3), np.zeros(3)], r=0.5).tolist() == [0, 0, 0]


def test_the_count_runs_ahead_with_progress():
    seen = []

    class Spy:
        def start(self, what, total, unit="B"):
            seen.append(total)

        def advance(self, n, note=""):
            seen.append(-n)

        def stop(self):
            pass

    made = flow_of([{"t": np.ones((3, 2))}] * 2, Ram(r=0.1))
    made.measure(Spy())
    collect(made)
    assert seen == [6, -6]


@pytest.mark.parametrize("given", [{"epsilon": -1.0}, {"alpha": -0.1}, {"scope": "row"}])
def test_bad_parameters(given):
    with pytest.raises(RecipeError):
        Ram(**given)


def test_traits():
    with pytest.raises(RecipeError, match="no weights"):
        Ram().check([0.5, 0.5])
    assert Ram().coefficients([1.0]) is None
    assert Ram(0.0).coefficients([1.0]) == (1.0,)
