"""Hessians out of moments. Run: pytest tests/compress/run/test_hessians.py"""

from __future__ import annotations

import numpy as np
import torch

from deltakit.calibrate.moments import Moments
from deltakit.compress.run.hessians import LayerHessians
from deltakit.tensors import TensorSpec


def moments(slices: int, size: int, axis: int, rows: tuple[int, ...]) -> Moments:
    x = torch.randn(slices, 9, size, generator=torch.Generator().manual_seed(size))
    return Moments(axis, x.transpose(1, 2) @ x, x.abs().mean(1), rows)


def specs(**shapes: tuple[int, ...]) -> dict[str, TensorSpec]:
    return {n: TensorSpec(s, "F32") for n, s in shapes.items()}


def test_a_matrix_has_the_axis_of_its_tensor() -> None:
    shared = moments(1, 4, 1, (9,))
    found = LayerHessians({"b": shared, "a": shared, "t": moments(1, 3, 0, (9,))}, specs(a=(5, 4), b=(2, 4), t=(3, 6)))
    assert list(found) == ["a", "b", "t"]
    assert (found["a"].axis, found["t"].axis) == (1, 0)
    assert found["a"].gram.dtype == np.float64
    assert shared.gram is not None
    assert np.array_equal(found["a"].gram, shared.gram[0].double().numpy())
    assert found.leader("b") == "a"
    assert found.leader("t") == "t"


def test_packed_experts_are_added_up() -> None:
    m = moments(3, 4, 2, (5, 0, 4))
    found = LayerHessians({"e": m}, specs(e=(3, 6, 4)))["e"]
    assert m.gram is not None
    assert np.allclose(found.gram, m.gram.double().sum(0).numpy())
    assert (found.axis, found.rows) == (1, 9)


def test_what_cannot_be_used_is_left_out() -> None:
    unseen, middle = moments(1, 4, 1, (0,)), moments(2, 4, 1, (3, 4))
    no_gram = Moments(1, None, torch.ones(1, 4), (3,))
    found = LayerHessians(
        {"unseen": unseen, "middle": middle, "no": no_gram}, specs(unseen=(5, 4), middle=(2, 4, 6), no=(5, 4))
    )
    assert len(found) == 0
