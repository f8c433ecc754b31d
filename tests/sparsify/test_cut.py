"""Exactly so many elements, whatever ties and however the tensor is read."""

import numpy as np
import pytest

from deltakit.errors import InputError
from deltakit.sparsify import cut as cut_module
from deltakit.sparsify.cut import Cuts, count_of, find_cut
from support.flows import flow


@pytest.fixture
def small_blocks(monkeypatch):
    whole = cut_module.row_blocks
    monkeypatch.setattr(cut_module, "row_blocks", lambda spec: whole(spec, 40))


def mask(values, count):
    made = flow({"t": values})
    spec = made.specs["t"]
    cut = find_cut("t", spec, made.pull, count)
    return np.concatenate([cut.holds(made.pull("t", i, i + 1), i * spec.row_size).ravel() for i in range(spec.rows)])


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("count", [0, 1, 2, 17, 62, 63, 64, 100])
@pytest.mark.parametrize("levels", [1, 3, 1000])
def test_against_a_stable_sort(count, levels):
    values = np.random.default_rng(count).integers(-levels, levels + 1, (9, 7)).astype(np.float32)
    want = np.zeros(63, bool)
    want[np.argsort(-np.abs(values.ravel()), kind="stable")[:count]] = True
    assert np.array_equal(mask(values, count), want)


def test_ties_are_kept_from_the_front():
    assert mask([1.0, -1.0, 2.0, 1.0, 0.0], 3).tolist() == [True, True, True, False, False]


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), ()])
def test_tensors_of_no_or_one_element(shape):
    made = flow({"t": np.ones(shape)})
    assert np.sum(find_cut("t", made.specs["t"], made.pull, 1).holds(made.pull("t", 0, 1), 0)) == (shape == ())


def test_a_cut_is_found_once():
    pulls = []
    made = flow({"t": np.arange(6.0)})

    def pull(*at):
        pulls.append(at)
        return made.pull(*at)

    cuts = Cuts(pull)
    first = cuts.of("t", made.specs["t"], 2)
    count = len(pulls)
    assert cuts.of("t", made.specs["t"], 2) is first
    assert len(pulls) == count


def test_values_that_are_not_finite_are_named():
    with pytest.raises(InputError, match="'t'"):
        mask([1.0, np.nan, 2.0], 2)


@pytest.mark.parametrize(
    ("share", "size", "count"), [(0.5, 9, 4), (1e-9, 9, 1), (1.0, 9, 9), (0.0, 9, 0), (0.5, 0, 0), (0.5, 1, 1)]
)
def test_a_share_above_zero_is_at_least_one_element(share, size, count):
    assert count_of(share, size) == count
