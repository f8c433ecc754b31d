"""Survivors scaled to the L1 norm of the tensor."""

from dataclasses import replace

import numpy as np
import pytest

from deltakit.sparsify.breadcrumbs import Breadcrumbs
from deltakit.sparsify.drop import Drop
from deltakit.sparsify.matched import MatchL1
from deltakit.sparsify.topk import TopK
from deltakit.tensors import TensorSpec, from_float32, to_float32
from support.flows import collect, flow


def of_dtype(tensors, dtype):
    """A flow of tensors whose values the dtype holds."""
    held = {n: to_float32(from_float32(np.float32(v), dtype), dtype).reshape(np.shape(v)) for n, v in tensors.items()}
    made = flow(held)
    return replace(made, specs={n: TensorSpec(s.shape, dtype) for n, s in made.specs.items()})


@pytest.mark.parametrize("step", [Drop(0.3, rescale=False), TopK(0.3), Breadcrumbs(0.3, 0.1, "tensor")])
def test_the_norm_of_each_tensor_stays(step):
    tensors = {n: np.random.default_rng(i).standard_normal((40, 7)) for i, n in enumerate("ab")}
    made = collect(MatchL1(step).on(flow(tensors)), max_bytes=100)
    for name, values in tensors.items():
        assert np.abs(made[name]).sum() == pytest.approx(np.abs(values).sum(), rel=1e-5)


def test_norms_quotient_and_products_are_rounded_to_the_dtype():
    torch = pytest.importorskip("torch")
    made = of_dtype({"t": np.random.default_rng(0).standard_normal((50, 30))}, "BF16")
    before = torch.from_numpy(collect(made)["t"]).bfloat16()
    after = torch.from_numpy(collect(TopK(0.2).on(made))["t"]).bfloat16()
    want = after * (before.abs().sum() / after.abs().sum())
    assert np.array_equal(collect(MatchL1(TopK(0.2)).on(made))["t"], want.float().numpy())


def test_a_float16_norm_does_not_overflow():
    made = collect(MatchL1(TopK(0.5)).on(of_dtype({"t": np.ones((400, 400))}, "F16")))["t"]
    assert np.unique(made).tolist() == [0.0, 2.0]


def test_a_tensor_of_zeros_and_one_of_which_nothing_is_left_are_zero():
    made = collect(MatchL1(TopK(0.5)).on(flow({"t": np.zeros(5), "e": np.zeros((0, 2))})))
    assert not made["t"].any()
    assert not collect(MatchL1(TopK(0.0)).on(flow({"t": np.ones(5)})))["t"].any()


def test_traits():
    assert MatchL1(TopK(1.0)).idle
    assert not MatchL1(Drop(0.5, rescale=False)).unbiased
