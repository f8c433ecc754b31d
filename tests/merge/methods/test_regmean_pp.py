"""RegMean++ against whole models with plain hooks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.calibration import arrays, ids, inputs, items, layer_of, merged, runnable, running, solved


@pytest.mark.parametrize("tied", [False, True])
def test_regmean_pp_sees_what_the_merged_layers_give(tied: bool, tmp_path: Path) -> None:
    """Slowly: for every layer whole models are run, merged before it and the model's own from there on."""
    base, models = runnable(tmp_path, tied=tied)
    tuned = [arrays(m) for m in models]
    want: dict[str, np.ndarray] = {}
    for layer in range(-1, 3):
        mixed = [{**t, **want} for t in tuned]
        xs = [inputs(running(base, m), ids(base)) for m in mixed]
        for name in tuned[0]:
            if layer_of(name) == layer:
                want[name] = solved(name, tuned, xs, 0.9).float().numpy()
    found = merged("regmean_pp", base, items(models))
    assert sorted(found) == sorted(want)
    for name, values_ in found.items():
        assert np.allclose(values_, want[name], rtol=1e-3, atol=2e-5), name
    plain = merged("regmean", base, items(models))
    assert not np.allclose(plain["model.layers.1.mlp.down_proj.weight"], found["model.layers.1.mlp.down_proj.weight"])
