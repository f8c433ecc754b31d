from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from deltakit.calibrate.batches import Batches
from deltakit.calibrate.walk import States, Walker, reader, walk
from deltakit.errors import InputError, RecipeError
from deltakit.tensors import Mapped
from support.architectures import KINDS, Tiny, tiny, token_ids


def walker(made: Tiny, **more: Any) -> Walker:
    return Walker(made.tensors.specs, made.sidecar, Batches(token_ids(), 2), **more)


def through(made: Tiny, w: Walker) -> torch.Tensor:
    states: States | None = None
    for stage in w.stages:
        w.load(stage, reader(made.tensors))
        states = w.advance(stage, states)
    assert states is not None
    return torch.cat(states)


def direct(made: Tiny) -> torch.Tensor:
    with torch.no_grad():
        found = made.model(input_ids=torch.from_numpy(token_ids()))
    logits: torch.Tensor = found.logits if "logits" in found else found.last_hidden_state
    return logits


def hooked(made: Tiny) -> dict[str, list[torch.Tensor]]:
    """What enters each linear module, by plain forward hooks."""
    inputs: dict[str, list[torch.Tensor]] = {}
    for name, module in made.model.named_modules():
        if type(module).__name__ in ("Linear", "Conv1D"):

            def keep(module: Any, args: Any, name: str = name) -> None:
                inputs.setdefault(name + ".weight", []).append(args[0].detach().reshape(-1, args[0].shape[-1]))

            module.register_forward_pre_hook(keep)
    direct(made)
    return inputs


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_stage_by_stage_is_the_model(kind: str) -> None:
    made = tiny(kind)
    assert torch.allclose(through(made, walker(made)), direct(made), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_moments_are_those_of_plain_hooks(kind: str) -> None:
    made = tiny(kind)
    found = {n: m for _, moments in walk(walker(made), reader(made.tensors)) for n, m in moments.items()}
    hooks = hooked(made)
    assert {n for n in hooks if n in made.tensors.specs} <= set(found)
    for name, xs in hooks.items():
        if name in made.tensors.specs:
            x, m = torch.cat(xs).double(), found[name]
            assert m.axis == (0 if kind == "gpt2" else 1)
            assert m.gram is not None
            assert m.rows == (len(x),)
            assert torch.allclose(m.gram[0].double(), x.T @ x, rtol=1e-4, atol=1e-4)
            assert torch.allclose(m.magnitude[0].double(), x.abs().mean(dim=0), rtol=1e-4, atol=1e-5)


def test_each_expert_has_its_own_moments() -> None:
    """Routed by hand: the inputs of an expert are the tokens that the router sends to it."""
    made = tiny("qwen3_moe")
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    made.model.model.layers[0].mlp.experts.register_forward_pre_hook(lambda m, a: seen.append((a[0], a[1])))
    direct(made)
    (hidden, chosen), experts = seen[0], made.model.model.layers[0].mlp.experts
    found = {n: m for _, moments in walk(walker(made), reader(made.tensors)) for n, m in moments.items()}
    for e in range(3):
        x = hidden[(chosen == e).any(dim=-1)]
        up = found[f"model.layers.0.mlp.experts.{e}.up_proj.weight"]
        assert up is found[f"model.layers.0.mlp.experts.{e}.gate_proj.weight"]
        assert up.gram is not None
        assert up.rows == (len(x),)
        assert torch.allclose(up.gram[0], x.T @ x, rtol=1e-4, atol=1e-4)
        gate, value = torch.nn.functional.linear(x, experts.gate_up_proj[e]).chunk(2, dim=-1)
        inner = experts.act_fn(gate) * value
        down = found[f"model.layers.0.mlp.experts.{e}.down_proj.weight"]
        assert down.gram is not None
        assert torch.allclose(down.gram[0], inner.T @ inner, rtol=1e-4, atol=1e-4)


def test_packed_experts_have_a_slice_each() -> None:
    made = tiny("gpt_oss")
    found = {n: m for _, moments in walk(walker(made), reader(made.tensors)) for n, m in moments.items()}
    m = found["model.layers.0.mlp.experts.down_proj"]
    assert m.gram is not None
    assert m.gram.shape == (3, 8, 8)
    assert m.axis == 1  # (experts, in, out): the input axis of this architecture
    assert sum(m.rows) == 2 * token_ids().size


def test_tensors_with_the_same_inputs_share_their_moments() -> None:
    made = tiny("llama")
    found = {n: m for _, moments in walk(walker(made), reader(made.tensors)) for n, m in moments.items()}
    q, k, o = (found[f"model.layers.0.self_attn.{n}_proj.weight"] for n in "qko")
    assert q is k
    assert q is not o


def test_what_is_replaced_is_what_the_next_layers_see() -> None:
    made, other = tiny("llama"), tiny("llama", seed=1)
    name = "model.layers.0.mlp.down_proj.weight"
    swapped = Mapped(made.tensors.specs, lambda n, lo, hi: (other if n == name else made).tensors.buffer(n, lo, hi))
    want = {n: m for _, moments in walk(walker(made), reader(swapped)) for n, m in moments.items()}
    found = {}
    for layer, moments in walk(walker(made), reader(made.tensors)):
        found.update(moments)
        if name in layer.stage.names:
            layer.replace({name: reader(other.tensors)(name)})
    for tensor, moments in want.items():
        assert moments.gram is not None
        assert torch.equal(moments.gram, found[tensor].gram), tensor


def test_one_stage_is_in_memory_at_a_time() -> None:
    made = tiny("llama")
    w = walker(made)
    for stage in w.stages:
        w.load(stage, reader(made.tensors))
        held = {n for n, p in w.model.named_parameters() if p.untyped_storage().nbytes() > 4}
        assert held == {p.weight for p in stage.needs.values()}


def test_the_number_of_threads_does_not_change_a_bit() -> None:
    made = tiny("llama")
    before = torch.get_num_threads()
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            found.append({n: m for _, ms in walk(walker(made), reader(made.tensors)) for n, m in ms.items()})
        finally:
            torch.set_num_threads(before)
    for name, moments in found[0].items():
        assert torch.equal(moments.gram, found[1][name].gram)  # type: ignore[arg-type]


def test_double_sums_and_no_grams() -> None:
    made = tiny("llama")
    name = "model.layers.1.self_attn.q_proj.weight"
    double = {n: m for _, ms in walk(walker(made), reader(made.tensors), double=True) for n, m in ms.items()}[name]
    bare = {n: m for _, ms in walk(walker(made), reader(made.tensors), gram=False) for n, m in ms.items()}[name]
    assert double.gram is not None
    assert double.gram.dtype == torch.float64
    assert bare.gram is None
    assert bare.nbytes == 16 * 4
    assert torch.allclose(bare.magnitude.double(), double.magnitude, rtol=1e-5)


def test_text_that_does_not_fit_the_model_is_refused() -> None:
    made = tiny("gpt2")
    with pytest.raises(InputError, match="holds the token 60, the model has 50"):
        Walker(made.tensors.specs, made.sidecar, Batches(np.array([[1, 60]]), 1))
    with pytest.raises(RecipeError, match="longer than this model's 32 positions"):
        Walker(made.tensors.specs, made.sidecar, Batches(np.zeros((1, 33), np.int64), 1))


def test_activations_that_are_not_finite_are_refused() -> None:
    made = tiny("llama")
    broken = {"model.layers.0.input_layernorm.weight": np.full(16, np.nan, np.float32)}
    read = reader(made.tensors)
    with pytest.raises(InputError, match=r"inputs of .*not finite"):
        list(walk(walker(made), lambda n: broken.get(n, read(n)) if n in broken else read(n)))
