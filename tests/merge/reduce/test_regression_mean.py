"""The regression mean against what a regression promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from deltakit.errors import RecipeError
from deltakit.merge.reduce.regression_mean import RegressionMean
from deltakit.tensors import TensorSpec
from support.calibration import TEXT, WEIGHTS, arrays, ids, inputs, items, merged, runnable, running
from support.merging import plan, values


def test_nothing_else_comes_closer_to_the_models_own_outputs(tmp_path: Path) -> None:
    """With alpha 1 the sum of squared differences has its minimum there: no step in any direction makes it smaller."""
    base, models = runnable(tmp_path)
    tuned = [arrays(m) for m in models]
    xs = [inputs(running(m, t), ids(base, samples=8)) for m, t in zip(models, tuned, strict=True)]
    found = values(plan("regmean", base, items(models), alpha=1.0, calibration={**TEXT, "samples": 8}).tensors)
    generator = torch.Generator().manual_seed(0)
    for name in xs[0]:

        def loss(w: torch.Tensor, name: str = name) -> float:
            return sum(
                weight * float(((w - torch.from_numpy(t[name]).double()) @ x[name].T).square().sum())
                for weight, t, x in zip(WEIGHTS, tuned, xs, strict=True)
            )

        best = torch.from_numpy(found[name]).double()
        least = loss(best)
        mean = sum(w * torch.from_numpy(t[name]).double() for w, t in zip(WEIGHTS, tuned, strict=True)) / sum(WEIGHTS)
        assert least < loss(mean)
        for _ in range(5):
            step = torch.randn(best.shape, generator=generator, dtype=torch.float64) * 1e-3
            assert loss(best + step) > least * (1 - 1e-6)


@pytest.mark.parametrize("method", ["regmean", "regmean_pp"])
def test_equal_models_give_that_model(method: str, tmp_path: Path) -> None:
    base, (model,) = runnable(tmp_path, 1)
    found = merged(method, base, items([model, model]))
    for name, want in arrays(model).items():
        assert np.allclose(found[name], want, rtol=1e-5, atol=1e-6), name


def test_an_input_that_no_text_reaches_takes_the_mean() -> None:
    from deltakit.calibrate.moments import Moments
    from deltakit.merge.reduce.regression_mean import _Normal

    gram = torch.tensor([[[4.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    moment = Moments(2, gram, torch.zeros(2, 2), (1, 0))
    normal = _Normal(1.0)
    one, two = np.arange(8, dtype=np.float32).reshape(2, 2, 2), np.ones((2, 2, 2), np.float32)
    normal.add(moment, one, 1.0, 1)
    normal.add(moment, two, 3.0, 1)
    mean = (one + 3 * two) / 4
    assert np.allclose(normal.solution(mean), mean, rtol=1e-5)


@pytest.mark.parametrize("axis", [0, 1])
def test_inputs_may_run_along_either_axis(axis: int) -> None:
    from deltakit.calibrate.moments import Moments
    from deltakit.merge.reduce.regression_mean import _Normal

    rng = np.random.default_rng(0)
    x = [torch.from_numpy(rng.standard_normal((9, 4))) for _ in range(2)]
    w = [rng.standard_normal((3, 4)).astype(np.float32) for _ in range(2)]
    normal = _Normal(1.0)
    for xi, wi in zip(x, w, strict=True):
        moment = Moments(axis, (xi.T @ xi).float().unsqueeze(0), torch.zeros(1, 4), (9,))
        normal.add(moment, wi if axis == 1 else wi.T, 1.0, 9)
    grams = [xi.T @ xi for xi in x]
    want = torch.linalg.solve(
        sum(grams), sum(g @ torch.from_numpy(v).double().T for g, v in zip(grams, w, strict=True))
    )
    mean = (w[0] + w[1]) / 2
    found = normal.solution(mean if axis == 1 else mean.T)
    assert np.allclose(found.T if axis == 1 else found, want, rtol=1e-3, atol=1e-4)


def test_its_cost_is_told_from_shapes() -> None:
    shapes = {"model.embed_tokens.weight": (1000, 64), "model.norm.weight": (64,)}
    shapes |= {f"model.layers.{i}.{n}.weight": s for i in range(2) for n, s in (("up", (256, 64)), ("down", (64, 256)))}
    (line,) = RegressionMean().cost({n: TensorSpec(s, "BF16") for n, s in shapes.items()})
    disk = 4 * (64000 + 4 * 64 * 256)
    layer = 2 * 64 * 256 * 20 + 12 * (64**2 + 256**2)
    assert f"up to {disk / 1e9:.3g} GB of temporary disk, about {max(layer, 64000 * 20) / 1e9:.2g} GB of memory" in line


def test_bad_parameters_are_refused() -> None:
    with pytest.raises(RecipeError, match="alpha 1.5"):
        RegressionMean(1.5)
    with pytest.raises(RecipeError, match="weights above 0"):
        RegressionMean().check([1.0, 0.0])
