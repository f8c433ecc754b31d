"""The matrix view of tensors of any number of dimensions. Run: pytest tests/delta/terms/test_matrix.py"""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.delta.terms.matrix import matrix_range, matrix_shape
from deltakit.tensors import TensorSpec


@pytest.mark.parametrize(
    ("shape", "matrix"),
    [((7, 5), (7, 5)), ((4, 3, 5), (12, 5)), ((9,), (9, 1)), ((), (1, 1)), ((0, 5), (0, 5)), ((4, 0), (0, 0))],
)
def test_the_last_dimension_is_the_columns(shape, matrix):
    assert matrix_shape(TensorSpec(shape, "F32")) == matrix


@pytest.mark.parametrize("shape", [(7, 5), (4, 3, 5), (9,)])
def test_ranges_of_rows_are_ranges_of_the_matrix(shape):
    spec = TensorSpec(shape, "F32")
    whole = np.arange(spec.numel).reshape(shape)
    first, last = matrix_range(spec, 1, 3)
    assert np.array_equal(whole.reshape(matrix_shape(spec))[first:last].ravel(), whole[1:3].ravel())
