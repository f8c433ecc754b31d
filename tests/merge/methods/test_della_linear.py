"""DELLA's dropping with task arithmetic is unbiased; against the paper it is tested beside della."""

import numpy as np

from support.merging import family, flat, plan, values


def test_the_mean_over_seeds_is_task_arithmetic(tmp_path):
    base, (model,) = family(tmp_path, 1)
    items = [{"model": model, "name": "m"}]
    exact = flat(values(plan("task_arithmetic", base, items).tensors))
    runs = [flat(values(plan("della_linear", base, items, density=0.5, seed=s).tensors)) for s in range(80)]
    spread = np.std(runs, axis=0) / np.sqrt(len(runs))
    assert np.all(np.abs(np.mean(runs, axis=0) - exact) <= 5 * spread + 1e-5)
