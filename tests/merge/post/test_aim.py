from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deltakit.calibrate.walk import reader
from deltakit.errors import RecipeError
from deltakit.merge.post.aim import Aim, Importance
from support.calibration import TEXT, arrays, ids, inputs, runnable, running
from support.merging import Arrays, plan, values


def relaxed(base: Arrays, merged: Arrays, xs: dict[str, Any], omega: float) -> Arrays:
    """The paper's formula on whole models."""
    made = dict(merged)
    for name, x in xs.items():
        if name in merged and "embed" not in name:
            s = x.abs().mean(dim=0).numpy()
            made[name] = base[name] + (merged[name] - base[name]) * (1 - s / s.max() * (1 - omega))
    return made


@pytest.mark.parametrize("method", ["task_arithmetic", "ties", "karcher", "regmean"])
def test_it_relaxes_what_any_method_gives(method: str, tmp_path: Path) -> None:
    base, models = runnable(tmp_path)
    text = {"calibration": TEXT} if method == "regmean" else {}
    plain = values(plan(method, base, models, **text).tensors)
    found = values(plan(method, base, models, post="aim(omega=0.3)", calibration=TEXT).tensors)
    want = relaxed(arrays(base), plain, inputs(running(base, arrays(base)), ids(base)), 0.3)
    for name in want:
        assert np.allclose(found[name], want[name], rtol=1e-4, atol=2e-6), name
    name = "model.layers.0.mlp.up_proj.weight"
    assert not np.allclose(found[name], plain[name], rtol=1e-3)
    for same in ("model.embed_tokens.weight", "model.norm.weight"):
        assert np.array_equal(found[same], plain[same])


def test_a_tied_head_is_an_embedding_and_stays(tmp_path: Path) -> None:
    base, models = runnable(tmp_path, tied=True)
    found = values(plan("task_arithmetic", base, models, post="aim", calibration=TEXT).tensors)
    plain = values(plan("task_arithmetic", base, models).tensors)
    assert np.array_equal(found["model.embed_tokens.weight"], plain["model.embed_tokens.weight"])


def test_omega_one_changes_nothing_and_reads_no_text(tmp_path: Path) -> None:
    base, models = runnable(tmp_path)
    made = plan("task_arithmetic", base, models, post="aim(omega=1.0)")
    assert made.measures == ()
    assert made.merged is not None
    assert made.merged.coefficients == (1.0, 1.0)


@pytest.mark.parametrize(("shape", "axis"), [((4, 3), 1), ((3, 4), 0), ((2, 4, 3), 2), ((2, 3, 4), 1)])
def test_factors_follow_the_input_axis_in_every_range(shape: tuple[int, ...], axis: int) -> None:
    slices = shape[0] if len(shape) == 3 else 1
    s = np.random.default_rng(0).random((slices, 3), np.float32)
    found, aim = Importance(axis, s), Aim(0.25)
    wide = np.moveaxis(
        (1 - s * np.float32(0.75))[:, None, :] * np.ones((slices, 4, 3), np.float32), 2, axis - len(shape) + 3
    )
    whole = wide.reshape(shape[0], -1)
    for lo, hi in ((0, shape[0]), (0, 1), (1, 2), (1, shape[0])):
        factor = np.broadcast_to(aim._factor(found, shape, lo, hi), (hi - lo, whole.shape[1]))
        assert np.allclose(factor, whole[lo:hi])


def test_bad_settings_are_refused(tmp_path: Path) -> None:
    base, models = runnable(tmp_path)
    with pytest.raises(RecipeError, match=r"omega 2.0 is not in \[0, 1\]"):
        Aim(2.0)
    with pytest.raises(RecipeError, match="names none"):
        plan("linear", None, models, post="aim")
    with pytest.raises(RecipeError, match="unknown post primitive 'aims'") as caught:
        plan("linear", base, models, post="aims")
    assert "aim" in caught.value.remedy
    with pytest.raises(RecipeError, match="has no parameter 'omg'"):
        plan("linear", base, models, post="aim(omg=1)")


def test_the_base_is_not_touched(tmp_path: Path) -> None:
    base, _ = runnable(tmp_path)
    made = plan("task_arithmetic", base, [base], post="aim", calibration=TEXT)
    assert made.equals() == base
    assert reader(made.tensors)("model.norm.weight").shape == (32,)
