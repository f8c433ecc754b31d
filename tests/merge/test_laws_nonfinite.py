"""Law 10 over the registry: a value that is not finite never passes a merge in silence, whatever the method does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deltakit.errors import InputError
from deltakit.merge import METHODS
from deltakit.merge.write import merge
from deltakit.recipe.parameters import make_checked
from support.merging import draw, recipe, store, tune
from support.method_samples import NEEDED


def method(name: str) -> Any:
    return make_checked(METHODS, name, NEEDED.get(name, {}))


NAMES = [n for n in METHODS.names() if not method(n).calibrated]  # those that run models: test_calibration.py


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_finite_is_refused_by_name(name: str, wrong: float, tmp_path: Path) -> None:
    base = draw(0)
    models = [tune(base, seed) for seed in (1, 2)]
    models[-1]["up.weight"] = models[-1]["up.weight"].copy()
    models[-1]["up.weight"][3, 4, 1] = wrong
    folders = [store(tmp_path / f"m{i}", m) for i, m in enumerate(models)]
    needs = method(name).reduce.needs
    chosen = folders[-1:] if needs in ("pair", "one") else folders
    parent = None if needs == "one" else store(tmp_path / "base", base)
    given = {"factor": 0.5} if name == "passthrough" else NEEDED.get(name, {})  # a plain copy has no effect
    made = recipe(name, parent, chosen, **given)
    with pytest.raises(InputError) as refused:
        merge(made, tmp_path / "out")
    assert "up.weight" in str(refused.value)
    assert not (tmp_path / "out").exists()
