from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from deltakit.calibrate.moments import Moments, Recorder, Unshared
from deltakit.runtime.places import Place

X = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
FLAT = X.reshape(-1, 4)


def place(shape: tuple[int, ...]) -> Place:
    return Place("w", tuple(np.arange(n) for n in shape), tuple(range(len(shape))), True)


def watch(weight: torch.Tensor, use: Callable[[torch.Tensor], object], at: Place | None = None) -> Moments | None:
    recorder = Recorder({"w": weight})
    with recorder:
        use(weight)
    recorder.forget_inputs()
    return recorder.moments({"t": at or place(tuple(weight.shape))}).get("t")


@pytest.mark.parametrize(
    ("shape", "axis", "use"),
    [
        ((3, 4), 1, lambda w: F.linear(X, w)),
        ((3, 4), 1, lambda w: F.linear(input=X, weight=w, bias=None)),
        ((3, 4), 1, lambda w: X @ w.T),
        ((4, 3), 0, lambda w: X @ w),
        ((4, 3), 0, lambda w: X.matmul(w)),
        ((4, 3), 0, lambda w: torch.mm(FLAT, w)),
        ((4, 3), 0, lambda w: torch.addmm(torch.zeros(3), FLAT, w)),
        ((4, 4), 0, lambda w: torch.addmm(torch.zeros(4), FLAT, w)),
        ((4, 4), 1, lambda w: F.linear(X, w)),
    ],
)
def test_every_way_to_multiply_is_seen(
    shape: tuple[int, ...], axis: int, use: Callable[[torch.Tensor], object]
) -> None:
    found = watch(torch.randn(shape), use)
    assert found is not None
    assert found.gram is not None
    assert found.axis == axis
    assert found.rows == (10,)
    assert torch.allclose(found.gram[0], FLAT.T @ FLAT, atol=1e-5)


def test_a_batch_of_products_gives_a_slice_each() -> None:
    found = watch(torch.randn(2, 4, 3), lambda w: torch.bmm(X, w))
    assert found is not None
    assert found.gram is not None
    assert found.axis == 1
    assert torch.allclose(found.gram, X.transpose(1, 2) @ X, atol=1e-5)


def test_a_slice_that_is_never_entered_has_zeros() -> None:
    found = watch(torch.randn(3, 5, 4), lambda w: F.linear(X, w[1]))
    assert found is not None
    assert found.gram is not None
    assert found.rows == (0, 10, 0)
    assert found.axis == 2
    assert not found.gram[0].any()
    assert torch.allclose(found.gram[1], FLAT.T @ FLAT, atol=1e-5)


def test_a_tensor_that_holds_some_of_the_inputs_gets_theirs() -> None:
    some = Place("w", (np.arange(3), np.array([2, 0])), (0, 1), False)
    found = watch(torch.randn(3, 4), lambda w: F.linear(X, w), some)
    assert found is not None
    assert found.gram is not None
    at = FLAT[:, [2, 0]]
    assert torch.allclose(found.gram[0], at.T @ at, atol=1e-5)
    assert torch.allclose(found.magnitude[0], at.abs().mean(dim=0), atol=1e-6)


@pytest.mark.parametrize(
    "use", [lambda w: F.linear(X, w[1:]), lambda w: w * 2, lambda w: F.linear(X, torch.ones(3, 4))]
)
def test_what_is_no_product_with_the_whole_weight_gives_nothing(use: Callable[[torch.Tensor], object]) -> None:
    assert watch(torch.randn(3, 4), use) is None


def test_a_change_in_place_makes_it_another_input() -> None:
    a, b = torch.randn(3, 4), torch.randn(3, 4)
    recorder = Recorder({"a": a, "b": b})
    x = FLAT.clone()
    with recorder:
        F.linear(x, a)
        x += 1
        F.linear(x, b)
    recorder.forget_inputs()
    found = recorder.moments({n: Place(n, (np.arange(3), np.arange(4)), (0, 1), True) for n in "ab"})
    assert torch.allclose(found["b"].magnitude[0], (FLAT + 1).abs().mean(dim=0), atol=1e-6)
    assert found["a"] is not found["b"]


def test_inputs_that_are_shared_only_at_times_are_noticed() -> None:
    a, b = torch.randn(3, 4), torch.randn(3, 4)
    recorder = Recorder({"a": a, "b": b})
    with recorder:
        F.linear(FLAT, a)
        F.linear(FLAT, b)
        recorder.forget_inputs()
        F.linear(FLAT, a)
        with pytest.raises(Unshared, match="but not all"):
            recorder.forget_inputs()
        with pytest.raises(Unshared, match="but not all"):
            F.linear(FLAT.clone(), b)
    apart = Recorder({"a": a, "b": b}, share=False)
    with apart:
        F.linear(FLAT, a)
        F.linear(FLAT, b)
        apart.forget_inputs()
        F.linear(FLAT, b)
        apart.forget_inputs()
    found = apart.moments({n: Place(n, (np.arange(3), np.arange(4)), (0, 1), True) for n in "ab"})
    assert (found["a"].rows, found["b"].rows) == ((10,), (20,))


def test_it_stops_behind_the_last_weight_of_interest() -> None:
    w = torch.randn(3, 4)
    with pytest.raises(KeyboardInterrupt), Recorder({"w": w}, until=w, stop=KeyboardInterrupt):
        F.linear(X, w)
