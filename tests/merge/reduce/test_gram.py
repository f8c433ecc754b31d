"""Inner products by streaming."""

import numpy as np
import pytest

import deltakit.merge.reduce.gram as module
from deltakit.errors import InputError, RecipeError
from deltakit.merge.method import Group
from deltakit.merge.reduce.gram import Statistic, check_vectors, combined, gram_of, seen_as, total
from support.flows import collect, flow

SHAPES = [(), (1,), (63,), (0, 3), (9, 7), (5, 1), (4, 3, 2), (3, 0, 2)]


def drawn(shape, seed):
    return np.asarray(np.random.default_rng(seed).standard_normal(shape), np.float32)


@pytest.mark.parametrize("shape", SHAPES)
def test_whole_tensors(shape):
    vectors = [drawn(shape, seed) for seed in range(3)]
    flows = [flow({"t": v}) for v in vectors]
    found = gram_of([f.pull for f in flows], flows[0].specs).of("t", 0, 1).ravel()
    flat = [v.astype(np.float64).ravel() for v in vectors]
    assert found == pytest.approx([flat[i] @ flat[j] for i in range(3) for j in range(i, 3)])


@pytest.mark.parametrize(("vectors", "axis"), [("row", -1), ("column", -2)])
@pytest.mark.parametrize("shape", [(9, 7), (4, 3, 2), (5, 1)])
def test_rows_and_columns_of_any_range(shape, vectors, axis):
    a, b = drawn(shape, 0), drawn(shape, 1)
    flows = [flow({"t": v}) for v in (a, b)]
    gram = gram_of([f.pull for f in flows], flows[0].specs, vectors)
    want = (a.astype(np.float64) * b).sum(axis=axis, keepdims=True)
    for lo, hi in ((0, 2), (1, 3)):
        reached = want if want.shape[0] != shape[0] else want[lo:hi]
        assert np.allclose(gram.of("t", lo, hi)[1], reached)


@pytest.mark.parametrize("vectors", ["tensor", "row", "column"])
def test_ranges_are_cut_alike_whoever_asks(vectors, monkeypatch):
    monkeypatch.setattr(module, "_STEP", 100)
    one, other = flow({"t": drawn((50, 7), 0)}), flow({"t": drawn((50, 7), 1)})
    group = Group((one, other), (1.0, 1.0), one.pull, models=(one.pull, other.pull))

    def rule(gram):
        return np.stack([gram[0, 1], gram[1, 1]])

    whole = collect(combined(group, rule, vectors, deltas=False))["t"]
    assert np.array_equal(collect(combined(group, rule, vectors, deltas=False), max_bytes=1)["t"], whole)


def test_models_are_combined_as_a_change_of_the_base():
    base, delta = drawn((6, 4), 0), drawn((6, 4), 1)
    tuned = flow({"t": delta})
    group = Group((tuned,), (1.0,), flow({"t": base}).pull, models=(flow({"t": base + delta}).pull,))
    made = collect(combined(group, lambda gram: np.full((1, 1, 1), 0.3), deltas=False))["t"]
    assert base + made == pytest.approx(0.3 * (base + delta), abs=1e-6)
    alone = collect(combined(group, lambda gram: np.full((1, 1, 1), 0.3), deltas=True))["t"]
    assert alone == pytest.approx(0.3 * delta)


def test_noise_of_the_sums_leaves_the_base_alone():
    base = flow({"t": np.float32([-0.0, 3.0])})
    group = Group((flow({"t": np.zeros(2)}),), (1.0,), base.pull, models=(base.pull,))
    made = collect(combined(group, lambda gram: np.array([[1.0 + 1e-14]]), deltas=False))["t"]
    assert not made.any()


def test_sums_are_found_once_for_whole_tensors():
    asked = []

    def at(name, lo, hi):
        asked.append((lo, hi))
        return np.ones((1, 1, 1))

    found = Statistic(flow({"t": drawn((9, 2), 0)}).specs, at)
    assert found.of("t", 0, 1) == found.of("t", 4, 9)
    assert asked == [(0, 9)]


def test_totals_keep_their_axes():
    spec = flow({"t": drawn((4, 3), 0)}).specs["t"]
    rows = np.ones((2, 3), np.float32)
    assert seen_as(rows, spec).shape == (2, 3)
    assert total(rows, spec, "tensor").shape == (1, 1)
    assert total(rows, spec, "row").tolist() == [[3.0], [3.0]]
    assert total(rows, spec, "column").tolist() == [[2.0, 2.0, 2.0]]


@pytest.mark.parametrize("vectors", ["tensor", "row"])
def test_what_is_not_finite_is_refused_by_name(vectors):
    bad = flow({"bad": np.float32([[1.0, np.inf]])})
    with pytest.raises(InputError, match="'bad'"):
        gram_of([bad.pull], bad.specs, vectors).of("bad", 0, 1)


def test_unknown_vectors():
    with pytest.raises(RecipeError, match="not known"):
        check_vectors("diagonal")
