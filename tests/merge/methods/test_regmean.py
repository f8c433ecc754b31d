"""RegMean against whole models with plain hooks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.calibration import WEIGHTS, arrays, ids, inputs, items, merged, runnable, running, solved


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.9])
def test_regmean_is_the_papers_closed_form(alpha: float, tmp_path: Path) -> None:
    base, models = runnable(tmp_path)
    tuned = [arrays(m) for m in models]
    xs = [inputs(running(m, t), ids(base)) for m, t in zip(models, tuned, strict=True)]
    found = merged("regmean", base, items(models), alpha=alpha)
    for name, values_ in found.items():
        want = solved(name, tuned, xs, alpha).float().numpy()
        assert np.allclose(values_, want, rtol=1e-3, atol=2e-5), name


def test_channels_alone_give_a_weighted_mean(tmp_path: Path) -> None:
    """alpha 0: every input channel's weights are averaged by how strongly it is used."""
    base, models = runnable(tmp_path)
    tuned = [arrays(m) for m in models]
    xs = [inputs(running(m, t), ids(base)) for m, t in zip(models, tuned, strict=True)]
    found = merged("regmean", base, items(models), alpha=0.0)
    name = "model.layers.1.mlp.up_proj.weight"
    share = [w * x[name].square().sum(dim=0).numpy() for w, x in zip(WEIGHTS, xs, strict=True)]
    want = sum(s * t[name] for s, t in zip(share, tuned, strict=True)) / sum(share)
    assert np.allclose(found[name], want, rtol=1e-4, atol=1e-5)


def test_no_base_is_needed(tmp_path: Path) -> None:
    base, models = runnable(tmp_path)
    with_base, without = (merged("regmean", b, items(models)) for b in (base, None))
    for name in with_base:
        assert np.allclose(with_base[name], without[name], rtol=1e-3, atol=2e-5), name


def test_each_model_may_have_a_text_of_its_own(tmp_path: Path) -> None:
    base, models = runnable(tmp_path)
    text = tmp_path / "own.txt"
    text.write_text("7 + 5 = 12 and 9 * 3 = 27. " * 10)
    own = items(models)
    own[1]["text"] = str(text)
    tuned = [arrays(m) for m in models]
    texts = [None, str(text)]
    xs = [inputs(running(m, w), ids(base, t)) for m, w, t in zip(models, tuned, texts, strict=True)]
    found = merged("regmean", base, own)
    name = "model.layers.0.self_attn.q_proj.weight"
    assert np.allclose(found[name], solved(name, tuned, xs, 0.9).float().numpy(), rtol=1e-3, atol=2e-5)
    assert not np.allclose(found[name], merged("regmean", base, items(models))[name], rtol=1e-4)
