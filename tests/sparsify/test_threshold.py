"""The streamed threshold is the one that sorting finds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deltakit.errors import InputError, RecipeError
from deltakit.sparsify.threshold import check_density, exact_threshold, rank_of

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(hnp.arrays(np.float32, st.integers(1, 80), elements=finite), st.floats(0.001, 1.0), st.integers(1, 30))
def test_it_agrees_with_sorting(values, density, step):
    ranges = [("t", i, i + step) for i in range(0, len(values), step)]
    rank = rank_of(density, len(values))
    want = np.sort(np.abs(values))[rank - 1] if rank else 0.0
    assert exact_threshold(ranges, lambda name, lo, hi: values[lo:hi], rank, threads=1) == want


def test_many_equal_magnitudes_and_far_exponents():
    values = np.array([1e-45, -1e-45, 1e-20, 3e38, -3e38, 0.0, -0.0, 1.0, -1.0, 1.0], np.float32)
    for rank in range(1, len(values) + 1):
        assert exact_threshold([("t", 0, 10)], lambda *_: values, rank) == np.sort(np.abs(values))[rank - 1]


@pytest.mark.parametrize(
    ("density", "count", "rank"), [(0.2, 10, 8), (0.25, 10, 8), (1.0, 10, 0), (0.001, 10, 10), (0.5, 0, 0), (0.5, 1, 1)]
)
def test_the_rank_is_that_of_the_official_code(density, count, rank):
    assert rank_of(density, count) == rank


def test_official_kthvalue_rule():
    torch = pytest.importorskip("torch")
    values = torch.randn(997, generator=torch.Generator().manual_seed(0))
    kept = int(len(values) * 0.2)
    kth = values.abs().kthvalue(len(values) - kept).values  # prateeky2806/ties-merging, topk_values_mask
    found = exact_threshold([("t", 0, 997)], lambda *_: values.numpy(), rank_of(0.2, len(values)))
    assert found == kth.item()
    assert int((values.abs() >= kth).sum()) == kept + 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named(bad):
    blocks = {"fine": np.ones(3, np.float32), "broken": np.array([1, bad], np.float32)}
    with pytest.raises(InputError, match="'broken'"):
        exact_threshold([("fine", 0, 3), ("broken", 0, 2)], lambda name, lo, hi: blocks[name], 2)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_do_not_matter(threads):
    values = np.random.default_rng(0).standard_normal(5000).astype(np.float32)
    ranges = [("t", i, i + 100) for i in range(0, 5000, 100)]
    found = exact_threshold(ranges, lambda name, lo, hi: values[lo:hi], 4000, threads)
    assert found == np.sort(np.abs(values))[3999]


@pytest.mark.parametrize("density", [0.0, -0.1, 1.1, float("nan")])
def test_densities_out_of_range(density):
    with pytest.raises(RecipeError, match="not in"):
        check_density(density)
