"""LiNeS on task arithmetic, against the paper's factors."""

import numpy as np
import pytest

from support.merging import draw, plan, rounded, store, tune, values

SHAPES = {"model.embed.weight": (5, 3), **{f"model.layers.{i}.w": (3, 3) for i in range(4)}}


@pytest.mark.parametrize("dtype", ["BF16", "F32"])
def test_the_merged_delta_is_scaled_by_depth(dtype, tmp_path):
    base = draw(0, dtype, SHAPES)
    models = [tune(base, 1 + i, dtype) for i in range(2)]
    where = [
        {"model": store(tmp_path / f"m{i}", m, dtype), "weight": w}
        for i, (m, w) in enumerate(zip(models, (0.5, 2), strict=True))
    ]
    made = values(plan("lines", store(tmp_path / "base", base, dtype), where, alpha=0.1, beta=0.9, scale=0.7).tensors)
    for name, some in made.items():
        layer = int(name.split(".")[2]) if "layers" in name else 0
        delta = sum(w * (m[name].astype(np.float64) - base[name]) for w, m in zip((0.5, 2), models, strict=True))
        want = rounded({"t": base[name] + 0.7 * (0.1 + 0.9 * layer / 3) * delta}, dtype)["t"]
        assert np.allclose(some, want, rtol=2**-20 if dtype == "F32" else 2**-7, atol=1e-6)


def test_behind_any_other_method(tmp_path):
    base = draw(0, "F32", SHAPES)
    where = [store(tmp_path / f"m{i}", tune(base, 1 + i)) for i in range(2)]
    origin = store(tmp_path / "base", base)
    plain = values(plan("ties", origin, where).tensors)
    made = values(plan("ties", origin, where, post="lines(alpha=0.5, beta=0.5)").tensors)
    for name, some in made.items():
        factor = 0.5 + 0.5 * (int(name.split(".")[2]) / 3 if "layers" in name else 0)
        assert np.allclose(some - base[name], factor * (plain[name] - base[name]), atol=1e-6)
