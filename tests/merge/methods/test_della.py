"""DELLA: the paper's probabilities and rescaling, mergekit's, and the defects that ours does not have."""

import numpy as np
import pytest
import torch

from deltakit.errors import RecipeError
from deltakit.merge.methods.della import ranked
from support.flows import collect, flow
from support.merging import flat, plan, store, values
from support.oracles import NAMES, WEIGHTS, by_row, check, elected_mean, in_mergekit, lanes, matched, stepwise, three


def pruned(stored, density, epsilon, seed):
    """p_min = p - epsilon/2, p_i = p_min + epsilon/n * rank; Bernoulli; survivors divided by 1 - p_i."""
    made = []
    for name, tau in zip(NAMES, stored.deltas.double(), strict=True):

        def keep(row):
            n = row.numel()
            rank = torch.empty(n, dtype=torch.float64)
            rank[torch.argsort(row.abs(), descending=True, stable=True)] = torch.arange(n, dtype=torch.float64)
            return 1 - (1 - density - epsilon / 2 + epsilon / n * rank)

        chance = by_row(stored.base, tau, keep)
        made.append(torch.where(lanes(stored.base, name, seed) < chance, tau / chance, 0.0))
    return torch.stack(made).float()


def test_the_paper(stored):
    merged = 1.1 * elected_mean(pruned(stored, 0.7, 0.3, 7), WEIGHTS)
    made = plan("della", stored.where, stored.items, density=0.7, epsilon=0.3, scale=1.1, seed=7).tensors
    check(made, stored, merged)


def test_the_linear_form(stored):
    merged = 0.5 * (stored.weighted * pruned(stored, 0.4, 0.14, 7)).sum(dim=0)
    check(plan("della_linear", stored.where, stored.items, density=0.4, scale=0.5, seed=7).tensors, stored, merged)


@pytest.mark.parametrize("rescale", [True, False])
@pytest.mark.parametrize(("method", "elect"), [("della", True), ("della_linear", False)])
def test_mergekit(tmp_path, method, elect, rescale):
    """Given which elements survive, the sum is mergekit's."""
    stored = three(tmp_path, "BF16")
    own = {"density": 0.5, "epsilon": 0.3}
    alone = [in_mergekit(stored, method, own, weights=w, rescale=False, normalize=False) for w in np.eye(3).tolist()]
    found = in_mergekit(stored, method, own, scale=0.9, rescale=rescale)
    for name, some in found.items():
        base, *models = (torch.from_numpy(np.array(a[name])).bfloat16() for a in (stored.base, *stored.models))
        taus = [m - base for m in models]
        left = [
            t * torch.from_numpy(np.asarray(a[name] != stored.base[name])) for t, a in zip(taus, alone, strict=True)
        ]
        left = [matched(t, k) for t, k in zip(taus, left, strict=True)] if rescale else left
        want = base + stepwise(left, normalize=method == "della", elect=elect, scale=0.9)
        assert np.array_equal(some, want.float().numpy()), name


@pytest.mark.parametrize("rank", [0, 15, 31])
def test_mergekits_probabilities_reach_density_plus_and_minus_epsilon(rank):
    rows = np.tile(np.arange(1.0, 33), (4000, 1)).astype(np.float32)
    made = collect(ranked(0.5, 0.2, False).on(flow({"t": rows})))["t"]
    chance = 0.3 + 0.4 * rank / 31
    assert np.mean(made[:, rank] != 0) == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / 4000))


@pytest.mark.parametrize("dialect", ["paper", "mergekit"])
@pytest.mark.parametrize("shape", [(40, 1), (1,), (2, 3, 1)])
def test_tensors_of_one_column_are_finite(tmp_path, dialect, shape):
    base, model = np.zeros(shape, np.float32), np.ones(shape, np.float32)
    where, item = store(tmp_path / "base", {"t": base}), {"model": store(tmp_path / "m", {"t": model}), "name": "m"}
    if dialect == "paper":
        found = values(plan("della", where, [item], density=0.5).tensors)["t"]
    else:
        stored = three(tmp_path / "rest", "F32")
        found = flat(in_mergekit(stored, "della", {"density": 0.5}))
    assert np.isfinite(found).all()


@pytest.mark.parametrize(("density", "epsilon"), [(0.95, 0.14), (0.05, 0.14)])
def test_probabilities_outside_are_refused_before_anything_is_read(stored, density, epsilon):
    with pytest.raises(RecipeError, match="probabilities"):
        plan("della", stored.where, stored.items, density=density, epsilon=epsilon)
    with pytest.raises(RecipeError, match="probabilities"):
        in_mergekit(stored, "della", {"density": density, "epsilon": epsilon})
