"""Methods that look at text on architectures whose weights lie otherwise: transposed, fused, packed, per expert."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from deltakit.checkpoint.open import open_checkpoint
from deltakit.runtime import load_model
from support.architectures import saved
from support.calibration import TEXT, ids
from support.merging import Arrays, plan, values

KINDS = ["gpt2", "phi3", "qwen3_moe", "gpt_oss", "bert"]


def products(folder: str, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
    """The inputs (tokens, in) of each stored matrix, seen by hooks on whole modules; of experts by routing by hand."""
    model = load_model(open_checkpoint(folder), open_checkpoint(folder).sidecar)
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")
    seen: dict[str, torch.Tensor] = {}

    def keep(name: str, args: tuple[torch.Tensor, ...], module: torch.nn.Module) -> None:
        if hasattr(module, "gate_up_proj") and isinstance(module.gate_up_proj, torch.nn.Parameter):
            for e in range(len(module.gate_up_proj)):
                chosen = (args[1] == e).any(dim=-1)
                seen[f"{name}.{e}"] = args[0].reshape(-1, args[0].shape[-1])[chosen].double()
        elif hasattr(module, "weight") and module.weight.dim() == 2 and args[0].is_floating_point():
            seen[name + ".weight"] = args[0].reshape(-1, args[0].shape[-1]).double()

    for name, module in model.named_modules():
        module.register_forward_pre_hook(lambda m, a, name=name: keep(name, a, m) if a else None)
    with torch.no_grad():
        model(input_ids=tokens)
    return seen


def family(tmp_path: Path, kind: str) -> tuple[str, list[str]]:
    base = saved(tmp_path / "base", kind)
    for i in range(2):
        saved(tmp_path / f"m{i}", kind, 10 + i, like=base)
    return str(tmp_path / "base"), [str(tmp_path / f"m{i}") for i in range(2)]


def matrix(arrays: Arrays, name: str, kind: str) -> np.ndarray:
    """A weight as (out, in); "...experts.1" is expert 1's fused gate and up, whatever the layout."""
    head, _, expert = name.rpartition(".")
    if head.endswith("experts"):
        if f"{head}.gate_up_proj" in arrays:
            return arrays[f"{head}.gate_up_proj"][int(expert)].T
        return np.concatenate([arrays[f"{name}.{r}_proj.weight"] for r in ("gate", "up")])
    found = arrays[name]
    return found.T if kind == "gpt2" and "wte" not in name else found


@pytest.mark.parametrize("kind", KINDS)
def test_regmean_solves_every_matrix(kind: str, tmp_path: Path) -> None:
    base, models = family(tmp_path, kind)
    found = values(plan("regmean", base, models, alpha=0.5, calibration=TEXT).tensors)
    tuned = [values(open_checkpoint(m)) for m in models]
    xs = [products(m, ids(base)) for m in models]
    checked = 0
    for name in xs[0]:
        if not name.split(".")[-2].endswith("experts") and name not in found:
            continue
        grams = []
        for x in xs:
            full = x[name].T @ x[name]
            grams.append(0.5 * full + 0.5 * torch.diag(torch.diagonal(full)))
        total = sum(grams)
        if float(torch.diagonal(total).min()) < 1e-9:
            continue
        right = sum(torch.from_numpy(matrix(t, name, kind)).double() @ g for t, g in zip(tuned, grams, strict=True))
        want = torch.linalg.solve(total, right.T).T.numpy()
        assert np.allclose(matrix(found, name, kind), want, rtol=1e-3, atol=1e-4), name
        checked += 1
    assert checked >= {"gpt2": 8, "phi3": 9, "qwen3_moe": 15, "gpt_oss": 12, "bert": 12}[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_aim_relaxes_every_matrix(kind: str, tmp_path: Path) -> None:
    base, models = family(tmp_path, kind)
    found = values(plan("task_arithmetic", base, models, post="aim(omega=0.2)", calibration=TEXT).tensors)
    plain = values(plan("task_arithmetic", base, models).tensors)
    first, xs = values(open_checkpoint(base)), products(base, ids(base))
    for name, x in xs.items():
        if not name.split(".")[-2].endswith("experts") and name not in found:
            continue
        s = x.abs().mean(dim=0).numpy() if len(x) else np.zeros(x.shape[1])
        s = s / s.max() if s.max() > 0 else s
        b, p, f = (matrix(a, name, kind) for a in (first, plain, found))
        assert np.allclose(f - b, (p - b) * (1 - 0.8 * s), rtol=1e-3, atol=1e-5), name


@pytest.mark.parametrize("kind", ["gpt2", "qwen3_moe", "gpt_oss"])
@pytest.mark.parametrize("scope", ["model", "layer"])
def test_darex_finds_a_factor(kind: str, scope: str, tmp_path: Path) -> None:
    base, models = family(tmp_path, kind)
    items = [{"model": models[0], "name": "one"}]
    found = values(plan("darex", base, items, density=0.3, scope=scope, steps=2, calibration=TEXT).tensors)
    first, tuned = values(open_checkpoint(base)), values(open_checkpoint(models[0]))
    for name in found:
        kept = found[name] != first[name]
        if not kept.any():
            continue
        ratio = (tuned[name] - first[name])[kept] / (found[name] - first[name])[kept]
        assert kept.size < 200 or 0.2 < kept.mean() < 0.4, name
        q = np.median(ratio)
        assert min(abs(q - c) for c in (0.3, 0.3**0.5, 1.0)) < 2e-3, name
