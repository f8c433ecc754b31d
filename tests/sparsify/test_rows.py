"""What a row is, and its ranks."""

import numpy as np
import pytest

from deltakit.sparsify.rows import by_rows, ranks
from support.flows import flow


@pytest.mark.parametrize("shape", [(6, 5), (2, 3, 4), (7,), (), (4, 1), (0, 3), (3, 0), (0,), (2, 0, 3)])
def test_a_row_runs_along_the_last_dimension_and_a_vector_is_one(shape):
    values = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    made = flow({"t": values})
    spec, seen = made.specs["t"], []

    def compute(rows, start):
        assert rows.shape[1] == (shape[-1] if shape else 1)
        assert np.array_equal(rows.ravel(), values.ravel()[start : start + rows.size])
        seen.append(rows.shape)
        return -rows

    parts = [by_rows(made, "t", i, i + 1, compute) for i in range(spec.rows)]
    assert all(p.shape == (1, spec.row_size) for p in parts)
    assert np.array_equal(np.concatenate([p.ravel() for p in [*parts, np.zeros(0)]]), -values.ravel())
    assert bool(seen) == (values.size > 0)


def test_ranks_count_from_the_largest_and_ties_by_index():
    assert ranks(np.float32([[1, -3, 2, 3], [0, 0, 0, -1]])).tolist() == [[3, 0, 2, 1], [1, 2, 3, 0]]
