"""Every registered method keeps the laws it declares; ours agree with slow whole-model versions of the papers."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deltakit import rng
from deltakit.checkpoint.open import open_checkpoint
from deltakit.errors import RecipeError
from deltakit.merge import METHODS
from deltakit.recipe.parameters import make_checked
from support.merging import Arrays, draw, family, flat, plan, rounded, store, tune, unflat, values
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


# ---- oracles: the papers on whole models, in torch ------------------------------------------------------------------

WEIGHTS = (0.7, 0.4, 1.3)


def three(dtype: str) -> tuple[Arrays, list[Arrays]]:
    base = draw(0, dtype)
    return base, [tune(base, 10 + i, dtype) for i in range(3)]


def deltas(base: Arrays, models: list[Arrays]) -> torch.Tensor:
    """(models, elements) float32, in the order that sums are made in: by fingerprint, so tolerances are of one ulp."""
    return torch.stack([torch.from_numpy(flat(m) - flat(base)) for m in models])


def drop(taus: torch.Tensor, base: Arrays, names: list[str], density: float, seed: int) -> torch.Tensor:
    """DARE per tensor with the recorded masks, survivors divided by the probability."""
    masks = []
    for name in names:
        parts = [
            rng.keep_mask(rng.key(seed, name, t), 0, base[t].size, density).astype(np.float32) for t in sorted(base)
        ]
        masks.append(torch.from_numpy(np.concatenate(parts)))
    return taus * torch.stack(masks) / rng.probability(density)


def trim(taus: torch.Tensor, density: float) -> torch.Tensor:
    """Each whole delta to its largest share, as topk_values_mask of the TIES authors' code does."""
    size = taus.shape[1]
    kept = int(size * density)
    kth = taus.abs().kthvalue(size - kept, dim=1, keepdim=True).values
    return taus * (taus.abs() >= kth)


def elected_mean(taus: torch.Tensor, weights: tuple[float, ...]) -> torch.Tensor:
    """resolve_sign and disjoint_merge of the TIES authors' code, with weights."""
    sign = torch.sign(taus.sum(dim=0))
    majority = torch.sign(sign.sum())
    sign = torch.where(sign == 0, majority, sign)
    agree = torch.where(sign > 0, taus > 0, taus < 0).float() * torch.tensor(weights)[:, None]
    return (taus * agree).sum(dim=0) / agree.sum(dim=0).clamp(min=1e-12)


def check(made: Any, base: Arrays, merged: torch.Tensor, dtype: str) -> None:
    """base + merged, rounded once, but for the last bit of float32 sums made in another order."""
    want = unflat((torch.from_numpy(flat(base)) + merged).numpy(), base)
    found = values(made)
    exact = rounded(want, dtype)
    for name in base:
        ulp = {"BF16": 2**-7, "F16": 2**-10, "F32": 2**-20}[dtype]
        assert np.allclose(found[name], exact[name], rtol=ulp, atol=1e-6)
    if dtype != "F32":
        assert np.mean(flat(found) == flat(exact)) > 0.98


@pytest.fixture
def stored(tmp_path: Path, dtype: str) -> tuple[Arrays, list[Arrays], str, list[dict[str, Any]]]:
    base, models = three(dtype)
    items = [
        {"model": store(tmp_path / f"m{i}", m, dtype), "name": f"n{i}", "weight": w}
        for i, (m, w) in enumerate(zip(models, WEIGHTS, strict=True))
    ]
    return base, models, store(tmp_path / "base", base, dtype), items


NAMES = ["n0", "n1", "n2"]


def test_task_arithmetic(stored: Any, dtype: str) -> None:
    base, models, where, items = stored
    merged = 0.6 * (torch.tensor(WEIGHTS)[:, None] * deltas(base, models)).sum(dim=0)
    check(plan("task_arithmetic", where, items, scale=0.6).tensors, base, merged, dtype)


@pytest.mark.parametrize("with_base", [True, False])
@pytest.mark.parametrize("normalize", [True, False])
def test_linear(stored: Any, dtype: str, with_base: bool, normalize: bool) -> None:
    base, models, where, items = stored
    total = sum(w * torch.from_numpy(flat(m)).double() for w, m in zip(WEIGHTS, models, strict=True))
    mean = total / sum(WEIGHTS) if normalize else total
    made = plan("linear", where if with_base else None, items, normalize=normalize).tensors
    check(made, base, (mean - torch.from_numpy(flat(base)).double()).float(), dtype)


@pytest.mark.parametrize("density", [0.2, 0.5, 0.01])
def test_ties(stored: Any, dtype: str, density: float) -> None:
    base, models, where, items = stored
    merged = 0.8 * elected_mean(trim(deltas(base, models), density), WEIGHTS)
    check(plan("ties", where, items, density=density, scale=0.8).tensors, base, merged, dtype)


def test_dare_linear(stored: Any, dtype: str) -> None:
    base, models, where, items = stored
    dropped = drop(deltas(base, models), base, NAMES, 0.3, 7)
    merged = 0.5 * (torch.tensor(WEIGHTS)[:, None] * dropped).sum(dim=0)
    check(plan("dare_linear", where, items, density=0.3, scale=0.5, seed=7).tensors, base, merged, dtype)


@pytest.mark.parametrize("trim_density", [None, 0.5])
def test_dare_ties_drops_before_it_trims(stored: Any, dtype: str, trim_density: float | None) -> None:
    base, models, where, items = stored
    dropped = drop(deltas(base, models), base, NAMES, 0.6, 7)
    merged = 0.9 * elected_mean(trim(dropped, trim_density or 0.2), WEIGHTS)
    given = {} if trim_density is None else {"trim_density": trim_density}
    check(plan("dare_ties", where, items, density=0.6, scale=0.9, seed=7, **given).tensors, base, merged, dtype)


@pytest.mark.parametrize("t", [0.0, 0.25, 0.5, 1.0])
def test_slerp(stored: Any, dtype: str, t: float) -> None:
    _, models, _, items = stored
    want = {}
    for name in models[0]:
        a, b = (torch.from_numpy(m[name]).double().ravel() for m in models[:2])
        cosine = float(torch.dot(a / a.norm(), b / b.norm())) if a.norm() > 0 and b.norm() > 0 else 1.0
        angle = np.arccos(np.clip(cosine, -1, 1))
        far = abs(cosine) <= 0.9995
        f, g = (np.sin((1 - t) * angle) / np.sin(angle), np.sin(t * angle) / np.sin(angle)) if far else (1 - t, t)
        want[name] = (f * a + g * b).float().numpy().reshape(models[0][name].shape)
    made = plan("slerp", None, [{"model": i["model"]} for i in items[:2]], t=t).tensors
    check(made, models[0], torch.from_numpy(flat(want) - flat(models[0])), dtype)


def test_the_weights_do_not_elect(tmp_path: Path) -> None:
    zero = {"t": np.zeros(4, np.float32)}
    base = store(tmp_path / "base", zero)
    one = {"model": store(tmp_path / "a", {"t": np.float32([3, -3, 1, 0])}), "weight": 0.1}
    two = {"model": store(tmp_path / "b", {"t": np.float32([-1, 1, 1, 2])}), "weight": 9.0}
    made = values(plan("ties", base, [one, two], density=1.0).tensors)["t"]
    assert made == pytest.approx([3, -3, 1, 2])


@pytest.mark.parametrize(("rest", "elected"), [([1, 1, -1], 2.0), ([-1, -1, 1], -2.0), ([1, -1, 0], -2.0)])
def test_a_zero_sum_takes_the_sign_of_the_majority(rest: list[float], elected: float, tmp_path: Path) -> None:
    base = store(tmp_path / "base", {"t": np.zeros(4, np.float32)})
    one = store(tmp_path / "a", {"t": np.float32([2, *rest])})
    two = store(tmp_path / "b", {"t": np.float32([-2, *rest])})
    assert values(plan("ties", base, [one, two], density=1.0).tensors)["t"][0] == elected
