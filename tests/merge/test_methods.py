"""Every registered method keeps the laws it declares."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.errors import RecipeError
from deltakit.merge import METHODS
from deltakit.recipe.parameters import make_checked
from support.merging import draw, family, flat, plan, store, values
from support.method_samples import KEEP_ALL, NEEDED
from support.tensors import whole

DTYPES = ["BF16", "F16", "F32"]


def method(name: str) -> Any:
    return make_checked(METHODS, name, NEEDED.get(name, {}))


def named(models: list[str]) -> list[dict[str, Any]]:
    return [{"model": m, "name": f"name{i}"} for i, m in enumerate(models)]


def count(name: str) -> int:
    """How many models a method takes beside a base, here."""
    reduce = method(name).reduce
    return 1 if reduce.needs in ("pair", "one") else getattr(reduce, "most", 3)


def weights(name: str) -> list[float]:
    """Different ones, where the method takes any."""
    some = [0.3, 0.9, 1.7][: count(name)]
    try:
        method(name).reduce.check(some)
    except RecipeError:
        return [1.0] * len(some)
    return some


NAMES = [n for n in METHODS.names() if not method(n).calibrated]  # those that run models: test_calibration.py


# ---- laws -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_zero_deltas_give_the_base_bit_for_bit(name: str, dtype: str, tmp_path: Path) -> None:
    base = draw(0, dtype)
    folders = [store(tmp_path / f, base, dtype) for f in ("base", "a", "b", "c")]
    made = plan(name, folders[0], named(folders[1 : 1 + count(name)]), **NEEDED.get(name, {}))
    assert whole(made.tensors) == whole(open_checkpoint(folders[0]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [n for n in NAMES if method(n).identity])
def test_one_model_at_weight_and_density_one_is_that_model_bit_for_bit(name: str, dtype: str, tmp_path: Path) -> None:
    base, (model,) = family(tmp_path, 1, dtype, size=3.0)
    made = plan(name, base, [model], **KEEP_ALL.get(name, {}))
    assert whole(made.tensors) == whole(open_checkpoint(model))


@pytest.mark.parametrize("name", [n for n in NAMES if method(n).symmetric])
def test_the_order_of_models_does_not_matter(name: str, tmp_path: Path) -> None:
    base, models = family(tmp_path, count(name))
    items = [{"model": m, "weight": w} for m, w in zip(models, weights(name), strict=True)]
    given = NEEDED.get(name, {})
    made = [whole(plan(name, base, list(order), **given).tensors) for order in itertools.permutations(items)]
    assert all(m == made[0] for m in made)


@pytest.mark.parametrize("name", [n for n in NAMES if method(n).unbiased])
def test_the_mean_over_seeds_is_the_method_without_chance(name: str, tmp_path: Path) -> None:
    base, models = family(tmp_path, 2)
    exact = flat(values(plan(name, base, named(models), **KEEP_ALL.get(name, {})).tensors))
    runs = [flat(values(plan(name, base, named(models), seed=s, **NEEDED.get(name, {})).tensors)) for s in range(60)]
    spread = np.std(runs, axis=0) / np.sqrt(len(runs))
    assert np.all(np.abs(np.mean(runs, axis=0) - exact) <= 5 * spread + 1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_ranges_do_not_matter(name: str, tmp_path: Path) -> None:
    base, models = family(tmp_path, count(name))
    made = plan(name, base, named(models), **NEEDED.get(name, {})).tensors
    for tensor, spec in made.specs.items():
        rows = [bytes(made.buffer(tensor, i, i + 1)) for i in range(spec.rows)]
        assert b"".join(rows) == bytes(made.buffer(tensor))


@pytest.mark.parametrize("name", NAMES)
def test_help_and_parameters_speak(name: str) -> None:
    assert METHODS.summary(name).endswith(".")
    assert set(NEEDED.get(name, {})) <= set(METHODS.parameters(name))
