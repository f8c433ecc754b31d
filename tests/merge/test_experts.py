"""Mixtures of experts: packed experts merge as if each were a matrix of its own, in whatever layout they come."""

from pathlib import Path

import numpy as np
import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.delta.experts import Together, layout_of
from deltakit.delta.file.extract import extract
from deltakit.errors import MismatchError
from deltakit.merge.mergekit.planning import plan_config
from deltakit.merge.write import merge
from support.cli import call
from support.merging import draw, plan, recipe, store, tune
from support.tensors import whole

PLACE = "model.layers.0.mlp.experts"
SHAPES = {"model.embed_tokens.weight": (20, 8), "model.layers.0.mlp.gate.weight": (4, 8)} | {
    f"{PLACE}.{e}.{role}_proj.weight": shape
    for e in range(4)
    for role, shape in [("gate", (6, 8)), ("up", (6, 8)), ("down", (8, 6))]
}


def packed(arrays):
    """The layout with all experts in one tensor, spelled out."""
    made = {n: a for n, a in arrays.items() if PLACE not in n}
    experts = [{r: arrays[f"{PLACE}.{e}.{r}_proj.weight"] for r in ("gate", "up", "down")} for e in range(4)]
    made[f"{PLACE}.gate_up_proj"] = np.stack([np.concatenate([e["gate"], e["up"]]) for e in experts])
    made[f"{PLACE}.down_proj"] = np.stack([e["down"] for e in experts])
    return made


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A base and two fine-tunes, each in both layouts: {"base": (numbered, packed), ...}. The second expert moved ten
    times as far as the others, so that a threshold over all experts is not the one of each."""
    root, base = tmp_path_factory.mktemp("experts"), draw(0, "BF16", SHAPES)
    models = {"base": base}
    for i, name in enumerate(("a", "b")):
        tuned = tune(base, i + 1, "BF16", 0.02)
        far = tune(base, i + 1, "BF16", 0.2)
        models[name] = {n: far[n] if ".1." in n else a for n, a in tuned.items()}
    return {
        n: (store(root / f"{n}-numbered", m, "BF16"), store(root / f"{n}-packed", packed(m), "BF16"))
        for n, m in models.items()
    }


def items(world, *layouts):
    return [{"model": world[n][layout], "name": n} for n, layout in zip("ab", layouts, strict=True)]


METHODS = {
    "task_arithmetic": {"scale": 0.5}, "ties": {"density": 0.5, "scope": "tensor"}, "dare_linear": {"density": 0.5},
    "dare_ties": {"density": 0.5}, "tsv_m": {}, "iso_c": {}, "model_stock": {}, "karcher": {},
}  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_packed_models_merge_as_numbered_ones(world, method):
    """Bit for bit, random masks and singular values included; in the base's own layout."""
    based = method != "karcher"
    more = METHODS[method]
    numbered, made = (
        plan(method, world["base"][layout] if based else None, items(world, layout, layout), **more)
        for layout in (0, 1)
    )
    layout = layout_of(open_checkpoint(world["base"][1]).specs)
    assert whole(made.tensors) == whole(Together(numbered.tensors, layout))
    assert made.tensors.specs == open_checkpoint(world["base"][1]).specs


@pytest.mark.parametrize("layouts", [(0, 0, 1), (1, 0, 0), (1, 1, 0)])
@pytest.mark.parametrize("method", ["task_arithmetic", "ties"])
def test_layouts_meet(world, layouts, method):
    """Packed and numbered models in one merge: the result has the base's layout."""
    more = {"density": 0.5} if method == "ties" else {"scale": 0.5}
    made = plan(method, world["base"][layouts[0]], items(world, *layouts[1:]), **more)
    alike = plan(method, world["base"][0], items(world, 0, 0), **more)
    layout = layout_of(open_checkpoint(world["base"][layouts[0]]).specs)
    assert whole(made.tensors) == whole(Together(alike.tensors, layout))
    assert "packed experts are merged one by one" in made.notes[0]


def test_a_trim_keeps_its_share_of_every_expert(world):
    """A threshold over the packed tensor would keep the expert that moved far and drop the others."""
    made = plan("ties", world["base"][1], items(world, 1, 1)[:1], density=0.25, scope="tensor")
    base = open_checkpoint(world["base"][1])
    name = f"{PLACE}.down_proj"
    bits = [np.frombuffer(m.buffer(name), "<u2").reshape(4, -1) for m in (base, made.tensors)]
    changed = (bits[0] != bits[1]).sum(1)
    assert changed.min() > 0
    assert changed.max() <= 24  # equal magnitudes at the threshold are all kept


def test_the_plan_says_what_is_done(world):
    made = plan("ties", world["base"][1], items(world, 1, 1), density=0.5)
    actions = made.actions()
    assert actions[f"{PLACE}.gate_up_proj"] == {
        "action": "ties, expert by expert", "shape": [4, 12, 8], "dtype": "BF16", "bytes": 768,
    }  # fmt: skip
    assert actions["model.embed_tokens.weight"]["action"] == "ties"
    assert {c.source for c in made.checkpoints} == {world[n][1] for n in world}
    assert sorted(made.order) == sorted(made.tensors.specs)


def test_plain_sums_leave_packed_experts_as_they_are(world):
    made = plan("task_arithmetic", world["base"][1], items(world, 1, 1))
    assert made.notes == ()
    assert made.merged is not None


def test_deltas_over_packed_experts(world, tmp_path):
    extract(world["base"][1], world["a"][1], tmp_path / "a.delta")
    stored = [{"model": str(tmp_path / "a.delta"), "name": "a"}, items(world, 1, 1)[1]]
    made = plan("ties", world["base"][1], stored, density=0.5)
    assert whole(made.tensors) == whole(plan("ties", world["base"][1], items(world, 1, 1), density=0.5).tensors)


def test_a_packed_merge_is_written_and_read_again(world, tmp_path):
    asked = recipe("ties", world["base"][1], items(world, 0, 1), density=0.5)
    merge(asked, tmp_path / "out")
    again = open_checkpoint(tmp_path / "out")
    assert whole(again) == whole(plan("ties", world["base"][1], items(world, 0, 1), density=0.5).tensors)


def test_layouts_that_do_not_meet_are_an_error(world, tmp_path):
    """Gate and up in a packed transpose may be interleaved: they are not taken apart by guess."""
    checkpoint = open_checkpoint(world["a"][1])
    turned = {}
    for name, spec in checkpoint.specs.items():
        values = np.frombuffer(checkpoint.buffer(name), "<u2").astype(np.uint32) << 16
        array = values.view(np.float32).reshape(spec.shape)
        turned[name] = array.transpose(0, 2, 1) if array.ndim == 3 else array
    other = store(tmp_path / "turned", turned, "BF16")
    with pytest.raises(MismatchError, match="do not fit") as caught:
        plan("ties", world["base"][0], [other], density=0.5)
    assert any(f"lacks {PLACE}.0.gate_proj.weight" in d for d in caught.value.details)


def test_transformers_runs_a_merge_of_both_layouts(tmp_path):
    """A Qwen3-MoE saved numbered, its fine-tune saved packed: the mean of both, by transformers' own loading."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import AutoModelForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM

    torch.manual_seed(0)
    config = Qwen3MoeConfig(
        vocab_size=24, hidden_size=16, intermediate_size=8, moe_intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, head_dim=8, num_experts=3, num_experts_per_tok=2,
    )  # fmt: skip
    net = Qwen3MoeForCausalLM(config)
    net.save_pretrained(tmp_path / "base")
    before = {n: p.detach().clone() for n, p in net.named_parameters()}
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    net.save_pretrained(tmp_path / "tuned")
    numbered = load_file(tmp_path / "tuned" / "model.safetensors")
    params = dict(net.named_parameters())
    names = {n for n in params if "experts" in n}
    tensors = {n: t for n, t in numbered.items() if "experts" not in n} | {n: params[n].detach() for n in names}
    save_file(tensors, tmp_path / "tuned" / "model.safetensors", metadata={"format": "pt"})
    argv = ("merge", "--base", tmp_path / "base", "--model", f"{tmp_path / 'tuned'}:0.5", "-o", tmp_path / "out")
    assert call(*argv).code == 0
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    with torch.no_grad():
        for name, parameter in merged.named_parameters():
            assert torch.allclose(parameter, (before[name] + params[name]) / 2, atol=1e-6), name


def config(tmp_path, world, text):
    """A mergekit config over the models of one layout, planned."""
    path = tmp_path / "config.yml"
    path.write_text(text.format(**{n: paths[1] for n, paths in world.items()}))
    for paths in world.values():
        for folder in paths:
            (Path(folder) / "config.json").write_text('{"model_type": "toy", "num_hidden_layers": 1}')
    packed = plan_config(path)
    path.write_text(text.format(**{n: paths[0] for n, paths in world.items()}))
    return packed, plan_config(path)


TIES = """
merge_method: ties
base_model: {base}
models:
  - {{model: {a}, parameters: {{weight: 0.5, density: 0.5}}}}
  - {{model: {b}, parameters: {{weight: 0.5, density: 0.25}}}}
dtype: bfloat16
"""
STACK = """
merge_method: passthrough
slices:
  - sources: [{{model: {a}, layer_range: [0, 1]}}]
  - sources: [{{model: {b}, layer_range: [0, 1]}}]
dtype: bfloat16
"""


@pytest.mark.parametrize("text", [TIES, STACK])
def test_mergekit_configs_merge_packed_experts_one_by_one(world, text, tmp_path):
    made, numbered = config(tmp_path, world, text)
    layout = layout_of(open_checkpoint(world["a"][1]).specs).over(numbered.tensors.specs)
    assert whole(made.tensors) == whole(Together(numbered.tensors, layout))
    assert made.tensors.specs[f"{PLACE}.gate_up_proj"].shape == (4, 12, 8)
    assert sorted(made.order) == sorted(made.tensors.specs)
    assert made.actions()[f"{PLACE}.down_proj"]["action"].endswith("expert by expert")
    assert not made.equals()
    if text is STACK:
        assert f"{PLACE.replace('0', '1')}.down_proj" in made.tensors.specs
    merge(made, tmp_path / "out")
    assert whole(open_checkpoint(tmp_path / "out")) == whole(made.tensors)
