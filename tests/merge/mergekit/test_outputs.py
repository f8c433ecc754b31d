"""Whole merges of constant models, against what mergekit 0.1.5 wrote for the same configs (run as a program, its output
files read; the numbers below are from there)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deltakit.merge.mergekit.planning import plan_config
from deltakit.merge.sources.allowances import Allowances
from support.merging import store, values

PARTS = {"self_attn.q_proj": (8, 8), "mlp.up_proj": (12, 8), "input_layernorm": (8,)}
OUTSIDE = {"model.embed_tokens": (40, 8), "model.norm": (8,), "lm_head": (40, 8)}


def constant(folder: Path, layers: int, number) -> None:
    """A Llama whose every tensor holds one number."""
    shapes = {f"model.layers.{i}.{part}": s for i in range(layers) for part, s in PARTS.items()} | OUTSIDE
    store(folder, {f"{n}.weight": np.full(s, number(n), np.float32) for n, s in shapes.items()})
    (folder / "config.json").write_text(f'{{"model_type": "llama", "num_hidden_layers": {layers}}}')


def coded(name: str) -> float:
    """A tensor's layer and one; 100, 200, 300 for embeddings, norm, head."""
    outside = {"model.embed_tokens": 100, "model.norm": 200, "lm_head": 300}
    return outside[name] if name in outside else int(name.split(".")[2]) + 1


@pytest.fixture(scope="module")
def family(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("family")
    for name, number in (("zero", 0), ("one", 1), ("two", 2), ("four", 4)):
        constant(folder / name, 4, lambda n, number=number: number)
    constant(folder / "code", 4, coded)
    constant(folder / "code10", 4, lambda n: coded(n) + 1000)
    constant(folder / "code6", 6, lambda n: coded(n) + 2000)
    return folder


def merged(family: Path, text: str) -> dict[str, float]:
    """Short name to the number that the tensor holds."""
    path = family / "config.yml"
    path.write_text(text.replace("@", f"{family}/"))
    plan = plan_config(path, allow=Allowances(unrelated=True, config_drift=True))
    found = values(plan.tensors)
    assert all(np.ptp(v) == 0 for v in found.values())
    return {n.removesuffix(".weight").removeprefix("model."): float(v.flat[0]) for n, v in found.items()}


UP = "layers.{}.mlp.up_proj"
BY_LAYER = "".join(f"  - {{filter: layers.{i}., value: {v}}}\n" for i, v in enumerate((0.1, 0.2, 0.4, 0.8)))

# config, then the numbers: embeddings, norm, head, mlp.up_proj of every layer
CASES = {
    "passthrough lays layers end to end": (
        "merge_method: passthrough\ndtype: float32\nslices:\n- sources: [{model: @code, layer_range: [1, 3]}]\n"
        "- sources: [{model: @code10, layer_range: [0, 2]}]\n- sources: [{model: @code6, layer_range: [3, 6]}]\n",
        (100, 2200, 2300),
        (2, 3, 1001, 1002, 2004, 2005, 2006),
    ),
    "passthrough scales by slice and by top": (
        "merge_method: passthrough\nparameters: {scale: 3}\nslices:\n"
        "- {sources: [{model: @code, layer_range: [1, 3]}], parameters: {scale: 2}}\n"
        "- sources: [{model: @code, layer_range: [0, 4]}]\n",
        (200, 600, 900),
        (4, 6, 3, 6, 9, 12),
    ),
    "linear adds by gradients of a source": (
        "merge_method: linear\ndtype: float32\nparameters: {weight: 0.5, normalize: false}\nslices:\n"
        "- sources:\n  - {model: @zero, layer_range: [0, 2], parameters: {weight: 1}}\n"
        "  - {model: @one, layer_range: [1, 3], parameters: {weight: [0.1, 0.2]}}\n"
        "- sources: [{model: @zero, layer_range: [2, 4]}, {model: @one, layer_range: [2, 4]}]\n"
        "  parameters: {weight: [3, 5]}\n",
        (0.1, 3, 3),
        (0.1, 0.2, 3, 5),
    ),
    "a slice has a base of its own": (
        "merge_method: task_arithmetic\nbase_model: @code\ndtype: float32\nslices:\n- sources:\n"
        "  - {model: @code, layer_range: [0, 2]}\n"
        "  - {model: @code10, layer_range: [1, 3], parameters: {weight: 0.5}}\n"
        "- base_model: @code6\n  sources:\n  - {model: @code10, layer_range: [0, 1], parameters: {weight: 0.5}}\n"
        "  - {model: @code6, layer_range: [5, 6]}\n",
        (600, 1700, 1800),
        (501.5, 502.5, 1503.5),
    ),
    "the angle's filters see the names of the result": (
        "merge_method: slerp\nbase_model: @zero\ndtype: float32\nslices:\n"
        "- sources: [{model: @zero, layer_range: [1, 2]}, {model: @code, layer_range: [2, 3]}]\n"
        "- sources: [{model: @code, layer_range: [3, 4]}, {model: @zero, layer_range: [0, 1]}]\n"
        "parameters:\n  t:\n" + BY_LAYER + "  - value: 0.5\n",
        (70.71068, 141.42136, 212.13203),
        (0.46930343, 1.236068),
    ),
    "slerp by filters in bfloat16": (
        "merge_method: slerp\nbase_model: @code\ndtype: bfloat16\nmodels: [{model: @code}, {model: @code10}]\n"
        "parameters:\n  t:\n  - {filter: self_attn, value: [0, 0.5, 0.3, 0.7, 1]}\n"
        "  - {filter: mlp, value: [1, 0.5, 0.7, 0.3, 0]}\n  - value: 0.5\n",
        (600, 700, 800),
        (1000, 568, 436, 4),
    ),
    "numbers such as 1e-4 and parameters without meaning": (
        "merge_method: task_arithmetic\nbase_model: @zero\ndtype: bfloat16\n"
        "models: [{model: @one, parameters: {weight: 1e-4, frob: 3}}]\n"
        "parameters: {weight: 2, lambda: 1, int8_mask: true, embed_slerp: true, frobnicate: 2}\n",
        (0.00010013580322265625,) * 3,
        (0.00010013580322265625,) * 4,
    ),
    "lambda by a gradient, the sum of weights divided away": (
        "merge_method: task_arithmetic\nbase_model: @one\ndtype: float32\n"
        "models: [{model: @four, parameters: {weight: 0.5}}]\nparameters: {lambda: [1, 2], normalize: yes}\n",
        (4, 4, 4),
        (4, 5, 6, 7),
    ),
    "a base of the Karcher mean is one of its models": (
        "merge_method: karcher\nbase_model: @one\ndtype: float32\nmodels: [{model: @two}, {model: @four}]\n",
        (7 / 3,) * 3,
        (7 / 3,) * 4,
    ),
    "a base of NuSLERP is none": (
        "merge_method: nuslerp\nbase_model: @zero\ndtype: float32\n"
        "models: [{model: @one, parameters: {weight: 1}}, {model: @four, parameters: {weight: 3}}]\n",
        (3.25,) * 3,
        (3.25,) * 4,
    ),
    "later documents read earlier ones": (
        "name: first\nmerge_method: linear\nmodels: [{model: @one}, {model: @four}]\nparameters: {weight: 1}\n---\n"
        "merge_method: task_arithmetic\nbase_model: @zero\n"
        "models: [{model: first, parameters: {weight: 10}}, {model: @one, parameters: {weight: 1}}]\n",
        (26, 26, 26),
        (26, 26, 26, 26),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_same_numbers_come_out(family, case):
    text, outside, layers = CASES[case]
    found = merged(family, text)
    assert [found[n] for n in ("embed_tokens", "norm", "lm_head")] == pytest.approx(outside, rel=1e-6)
    assert [found[UP.format(i)] for i in range(len(layers))] == pytest.approx(layers, rel=1e-6)
    assert UP.format(len(layers)) not in found


def test_values_are_read_as_mergekit_reads_them(family):
    text = "merge_method: task_arithmetic\nbase_model: @zero\nparameters: {weight: 100}\nout_dtype: torch.float16\n"
    text += "models:\n"
    text += "- {model: @one, parameters: {weight: true}}\n- {model: @four, parameters: {weight: '0.5'}}\n"
    text += "- {model: {model: {path: @two}, lora: null}, parameters: {weight: [7]}}\n"
    assert set(merged(family, text).values()) == {17.0}
