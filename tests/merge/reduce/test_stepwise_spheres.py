"""Spherical methods rounded step by step, against torch computing in the dtype."""

import numpy as np
import pytest
import torch

from deltakit.merge.reduce.stepwise_spheres import StepwiseMultislerp, StepwiseNuslerp, StepwiseSlerp
from support.merging import rounded
from support.spheres import bend
from support.stepwise import drawn, grouped, merged, same, tensors

DTYPES = ["BF16", "F16", "F32"]
WEIGHTS = (0.3, 0.9, 0.5)


def divided(x, size):
    below = size + 1e-8  # nothing in float16
    return x / torch.where(below == 0, 1.0, below)


def nuslerp(a, b, t, dim=None):
    shape = a.shape
    if dim is None or a.ndim < 2:
        a, b, dim = a.reshape(-1), b.reshape(-1), -1
    units = [divided(x, x.norm(dim=dim, keepdim=True)) for x in (a, b)]
    angle = torch.acos((units[0] * units[1]).sum(dim, keepdim=True).clamp(-1, 1))
    sine = torch.sin(angle)
    bent = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / sine
    return torch.where(torch.cos(angle).abs() >= 1, (1 - t) * a + t * b, bent).reshape(shape)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("based", [True, False])
@pytest.mark.parametrize(("vectors", "dim"), [("tensor", None), ("row", -1), ("column", -2)])
def test_nuslerp(vectors, dim, based, dtype):
    base, models = drawn(2, dtype)
    made = merged(StepwiseNuslerp(vectors), grouped(base, models, dtype, based, WEIGHTS[:2]))
    start, (a, b) = tensors(base, dtype), [tensors(m, dtype) for m in models]
    t = 0.9 / 1.2
    if based:
        want = {n: s + nuslerp(a[n] - s, b[n] - s, t, dim) for n, s in start.items()}
    else:
        want = {n: nuslerp(a[n], b[n], t, dim) for n in start}
    same(made, want, dtype)


def multislerp(vectors, weights, normalize):
    shape, dtype = vectors[0].shape, vectors[0].dtype
    rows, w = torch.stack([v.flatten() for v in vectors]), torch.tensor(weights, dtype=dtype)
    w = w / w.sum() if normalize else w
    sizes = rows.norm(dim=-1, keepdim=True)
    units = divided(rows, sizes)
    middle = (units * w[:, None]).sum(0)
    if float(middle.norm()) >= 1e-8:
        middle = middle / middle.norm()
    apart = units - (units * middle).sum(-1, keepdim=True) * middle
    step = (apart * w[:, None]).sum(0)
    size = step.norm()
    if float(size) >= 1e-8:
        middle = middle * torch.cos(size) + step * (torch.sin(size) / size)
    return (middle * (sizes.squeeze(-1) * w).sum()).reshape(shape)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("based", [True, False])
@pytest.mark.parametrize("normalize", [True, False])
def test_multislerp(normalize, based, dtype):
    base, models = drawn(3, dtype)
    made = merged(StepwiseMultislerp(normalize), grouped(base, models, dtype, based, WEIGHTS))
    start, some = tensors(base, dtype), [tensors(m, dtype) for m in models]
    if based:
        want = {n: s + multislerp([m[n] - s for m in some], WEIGHTS, normalize) for n, s in start.items()}
    else:
        want = {n: multislerp([m[n] for m in some], WEIGHTS, normalize) for n in start}
    same(made, want, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_slerp_is_rounded_once(dtype):
    base, (other,) = drawn(1, dtype)
    made = merged(StepwiseSlerp(0.3), grouped(base, [other], dtype, True))
    for name, some in made.items():
        a, b = base[name].astype(np.float64).ravel(), other[name].astype(np.float64).ravel()
        want = rounded({"t": bend(a, b, 0.3).reshape(some.shape)}, dtype)["t"]
        assert np.allclose(some, want, rtol=2**-20 if dtype == "F32" else 2**-7, atol=1e-6)


def test_a_zero_tensor_lies_at_a_right_angle_to_all():
    base, other = {"t": np.zeros(4, np.float32)}, {"t": np.ones(4, np.float32)}
    quarter = np.sin(0.75 * np.pi / 2)
    for reducer, weights in ((StepwiseSlerp(0.75), ()), (StepwiseNuslerp(), (1.0, 3.0))):
        models = [other] if isinstance(reducer, StepwiseSlerp) else [base, other]
        made = merged(reducer, grouped(base, models, "F32", isinstance(reducer, StepwiseSlerp), weights))
        assert made["t"] == pytest.approx([quarter] * 4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reducer", [StepwiseNuslerp(), StepwiseMultislerp()])
def test_zero_deltas_leave_the_base(reducer, dtype):
    base, _ = drawn(0, dtype)
    made = merged(reducer, grouped(base, [base, base], dtype, True))
    assert all(np.array_equal(made[n], base[n]) for n in base)
