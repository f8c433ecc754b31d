"""Trimming by magnitude, over the model or tensor by tensor."""

import numpy as np
import pytest

from deltakit.errors import InputError, RecipeError
from deltakit.sparsify.trim import Trim
from support.flows import collect, flow

TENSORS = {
    "big": np.array([[9.0, -8.0], [7.0, 0.5]]),
    "small": np.array([0.1, -0.2, 0.3, 0.0]),
    "empty": np.zeros((0, 3)),
}


def test_one_threshold_for_the_model():
    made = collect(Trim(0.25).on(flow(TENSORS)))  # 8 elements, int(0.25 * 8) + 1 = 3 are kept
    assert made["big"].tolist() == [[9.0, -8.0], [7.0, 0.0]]
    assert not made["small"].any()


def test_one_threshold_for_each_tensor():
    made = collect(Trim(0.25, scope="tensor").on(flow(TENSORS)))  # 2 of each 4
    assert made["big"].tolist() == [[9.0, -8.0], [0.0, 0.0]]
    assert made["small"].tolist() == pytest.approx([0.0, -0.2, 0.3, 0.0])


def test_elements_that_tie_with_the_threshold_are_kept():
    assert (
        collect(Trim(0.25).on(flow({"t": [1.0, -1.0, 1.0, 1.0, 0.5, 0.1, 0.1, 0.1]})))["t"].tolist()
        == [1, -1, 1, 1] + [0] * 4
    )


def test_a_tiny_density_keeps_the_largest():
    assert np.count_nonzero(collect(Trim(1e-9).on(flow(TENSORS)))["big"]) == 1


@pytest.mark.parametrize("scope", ["model", "tensor"])
def test_against_sorting(scope):
    values = {n: np.random.default_rng(i).standard_normal((17, 5)).astype(np.float32) for i, n in enumerate("abc")}
    made = collect(Trim(0.3, scope).on(flow(values)), max_bytes=40)
    together = np.concatenate([v.ravel() for v in values.values()])
    for name, v in values.items():
        pool = np.sort(np.abs(together if scope == "model" else v.ravel()))
        threshold = pool[len(pool) - int(0.3 * len(pool)) - 1]
        assert np.array_equal(made[name], np.where(np.abs(v) >= threshold, v, 0))


def test_the_pass_over_the_model_runs_ahead_with_progress():
    events = []

    class Spy:
        def start(self, what, total, unit="B"):
            events.append(total)

        def advance(self, n, note=""):
            events.append(-n)

        def stop(self):
            events.append("stop")

    made = Trim(0.25).on(flow(TENSORS))
    made.measure(Spy())
    assert events[0] == 16
    assert sum(e for e in events if e != "stop") == 0
    count = len(events)
    collect(made)
    assert len(events) == count


def test_values_that_are_not_finite_are_named():
    with pytest.raises(InputError, match="'bad'"):
        collect(Trim(0.5).on(flow({"bad": [1.0, np.nan], "ok": [1.0]})))


@pytest.mark.parametrize(("density", "scope"), [(0.0, "model"), (2.0, "model"), (0.5, "modle")])
def test_bad_parameters(density, scope):
    with pytest.raises(RecipeError):
        Trim(density, scope)


def test_traits():
    assert Trim(1.0).idle
    assert not Trim(0.5).unbiased
