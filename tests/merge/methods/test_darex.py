"""DAREx-q against whole models: every q is tried by running the model that it makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from deltakit import rng
from deltakit.merge.compute.rescale import DropSearched
from support.calibration import TEXT, arrays, ids, layer_of, layer_output, runnable, running
from support.merging import Arrays, plan, values

DENSITY, STEPS = 0.1, 4


def kept(base: Arrays, tuned: Arrays, seed: int = 42) -> Arrays:
    """The delta behind DARE's mask, not rescaled."""
    made = {}
    for name, b in base.items():
        mask = rng.keep_mask(rng.key(seed, "one", name), 0, b.size, DENSITY).reshape(b.shape)
        made[name] = np.where(mask, tuned[name] - b, np.float32(0))
    return made


def darex(base: str, model: str, scope: str) -> Arrays:
    items = [{"model": model, "name": "one"}]
    return values(plan("darex", base, items, density=DENSITY, scope=scope, steps=STEPS, calibration=TEXT).tensors)


def test_one_q_for_the_model_is_the_best_of_all_candidates(tmp_path: Path) -> None:
    base, (model,) = runnable(tmp_path, 1, size=6.0)
    b, t = arrays(base), arrays(model)
    mask, tokens = kept(b, t), ids(base)[: TEXT["batch"]]
    want = layer_output(running(base, t), tokens, 2)
    errors = {}
    for q in DropSearched(DENSITY, steps=STEPS).candidates:
        made = {n: b[n] + mask[n] / np.float32(q) for n in b}
        errors[q] = float((layer_output(running(base, made), tokens, 2) - want).abs().mean())
    best = min(errors, key=lambda q: errors[q])
    assert best > DENSITY * 1.5  # DARE's own factor is not the best here
    found = darex(base, model, "model")
    for name in b:
        assert np.allclose(found[name], b[name] + mask[name] / np.float32(best), rtol=1e-5, atol=1e-6), name


def test_each_layer_chooses_behind_those_that_have_chosen(tmp_path: Path) -> None:
    base, (model,) = runnable(tmp_path, 1, size=6.0)
    b, t = arrays(base), arrays(model)
    mask, tokens = kept(b, t), ids(base)[: TEXT["batch"]]
    made, chosen = dict(b), []
    for layer in range(-1, 3):
        want = layer_output(running(base, t), tokens, layer)
        own = [n for n in b if layer_of(n) == layer]
        errors = {}
        for q in DropSearched(DENSITY, steps=STEPS).candidates:
            tried = {**made, **{n: b[n] + mask[n] / np.float32(q) for n in own}}
            errors[q] = float((layer_output(running(base, tried), tokens, layer) - want).abs().mean())
        best = min(errors, key=lambda q: errors[q])
        chosen.append(best)
        made |= {n: b[n] + mask[n] / np.float32(best) for n in own}
    found = darex(base, model, "layer")
    for name in b:
        assert np.allclose(found[name], made[name], rtol=1e-5, atol=1e-6), name
    assert len(chosen) == 4


def test_it_is_deterministic_in_the_number_of_threads(tmp_path: Path) -> None:
    base, (model,) = runnable(tmp_path, 1)
    before = torch.get_num_threads()
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            found.append(darex(base, model, "model"))
        finally:
            torch.set_num_threads(before)
    assert all(np.array_equal(found[0][n], found[1][n]) for n in found[0])
