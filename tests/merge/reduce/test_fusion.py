"""The divergence of rows, against softmax spelt out in float64."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.errors import RecipeError
from deltakit.merge.reduce.fusion import Fusion, divergence


def softmax(values: np.ndarray) -> np.ndarray:
    raised = np.exp(values - values.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def test_divergence_is_that_of_the_softmaxes() -> None:
    rng = np.random.default_rng(0)
    first, delta = rng.standard_normal((2, 7, 13))
    p, q = softmax(first + delta), softmax(first)
    assert np.allclose(divergence(first, delta), (p * np.log(p / q)).sum(axis=-1), atol=1e-12)


def test_no_change_and_no_columns_diverge_by_nothing() -> None:
    first = np.ones((3, 4))
    assert np.array_equal(divergence(first, np.zeros((3, 4))), np.zeros(3))
    assert divergence(np.ones((2, 0)), np.ones((2, 0))).shape == (2,)
    assert np.all(divergence(first, np.full((3, 4), 2.0)) == 0)  # the same shift everywhere changes no distribution


def test_weights_say_nothing() -> None:
    with pytest.raises(RecipeError, match="takes no weights"):
        Fusion().check([0.5])
    Fusion().check([1.0])
