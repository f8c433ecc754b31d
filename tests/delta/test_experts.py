"""Packed experts seen apart and put together again, bit for bit, whatever their layout."""

import numpy as np
import pytest

from deltakit.delta.experts import Apart, Together, layout_of, packs
from deltakit.tensors import TensorSpec
from support.tensors import memory, normal, tensor, whole

GATES, DOWNS = normal((3, 12, 8), 1), normal((3, 8, 6), 2)  # 3 experts, hidden 8, inner 6
ROUTER = {"model.layers.0.mlp.gate.weight": normal((3, 8), 3)}
PLACE = "model.layers.0.mlp.experts"


def stored(arrays, dtype="BF16"):
    return memory({n: tensor(v, dtype) for n, v in arrays.items()})


def apart():
    """The numbered layout, spelled out."""
    made = dict(ROUTER)
    for e in range(3):
        made[f"{PLACE}.{e}.gate_proj.weight"] = GATES[e, :6]
        made[f"{PLACE}.{e}.up_proj.weight"] = GATES[e, 6:]
        made[f"{PLACE}.{e}.down_proj.weight"] = DOWNS[e]
    return made


def seen(source):
    return Apart(source, layout_of(source.specs))


LAYOUTS = {
    "packed": {f"{PLACE}.gate_up_proj": GATES, f"{PLACE}.down_proj": DOWNS, **ROUTER},
    "granite": {
        "model.layers.0.block_sparse_moe.input_linear.weight": GATES,
        "model.layers.0.block_sparse_moe.output_linear.weight": DOWNS,
        "model.layers.0.block_sparse_moe.gate.weight": next(iter(ROUTER.values())),
    },
    "mixtral": {
        n.replace(".mlp.", ".block_sparse_moe.").replace("gate_proj", "w1").replace("up_proj", "w3")
        .replace("down_proj", "w2"): a
        for n, a in apart().items()
    },
    "numbered": apart(),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["BF16", "F32"])
def test_every_layout_meets_the_numbered_one(layout, dtype):
    source = stored(LAYOUTS[layout], dtype)
    made = seen(source)
    assert whole(made) == whole(stored(apart(), dtype))
    assert made.specs == stored(apart(), dtype).specs
    assert sorted(made.order) == list(made.specs)
    back = Together(made, layout_of(source.specs))
    assert back.specs == source.specs
    assert whole(back) == whole(source)


def test_ranges_are_those_of_the_whole():
    made = seen(stored(LAYOUTS["packed"]))
    name = f"{PLACE}.1.up_proj.weight"
    raw = bytes(made.buffer(name))
    assert bytes(made.buffer(name, 2, 5)) == raw[2 * 16 : 5 * 16]
    assert bytes(made.buffer(name, 3, 3)) == b""
    back = Together(made, layout_of(stored(LAYOUTS["packed"]).specs))
    assert bytes(back.buffer(f"{PLACE}.gate_up_proj", 1, 2)) == tensor(GATES[1])[1]


def test_another_layout_on_the_way_out():
    """What was read packed can be written numbered, and the other way round."""
    made = seen(stored(LAYOUTS["mixtral"]))
    back = Together(made, layout_of(stored(LAYOUTS["packed"]).specs))
    assert whole(back) == whole(stored(LAYOUTS["packed"]))
    back = Together(seen(stored(LAYOUTS["packed"])), layout_of(stored(LAYOUTS["mixtral"]).specs))
    assert whole(back) == whole(stored(LAYOUTS["mixtral"]))


@pytest.mark.parametrize("dtype", ["BF16", "F32"])
def test_packed_transposes_are_turned(dtype):
    """(inputs, outputs): rows become outputs, and gate and up stay one: some interleave them."""
    turned = {f"{PLACE}.gate_up_proj": GATES.transpose(0, 2, 1), f"{PLACE}.down_proj": DOWNS.transpose(0, 2, 1)}
    source = stored(turned, dtype)
    made = seen(source)
    assert made.specs[f"{PLACE}.2.gate_up_proj.weight"].shape == (12, 8)
    assert bytes(made.buffer(f"{PLACE}.2.gate_up_proj.weight", 3, 9)) == tensor(GATES[2, 3:9], dtype)[1]
    assert bytes(made.buffer(f"{PLACE}.1.down_proj.weight")) == tensor(DOWNS[1], dtype)[1]
    assert whole(Together(made, layout_of(source.specs))) == whole(source)


def test_a_packed_projection_alone_keeps_its_sides():
    source = stored({"a.moe.wide.weight": normal((2, 5, 4), 1), "a.experts.up_proj": normal((2, 5, 4), 2)})
    made = seen(source)
    assert {n: s.shape for n, s in made.specs.items()} == {
        f"a.{place}.{e}.{role}.weight": (5, 4)
        for place, role in [("moe.experts", "wide"), ("experts", "up_proj")]
        for e in range(2)
    }
    assert whole(Together(made, layout_of(source.specs))) == whole(source)


def test_what_is_packed():
    specs = {
        "a.experts.gate_up_proj": TensorSpec((2, 4, 3), "BF16"),
        "a.block_sparse_moe.input_linear.weight": TensorSpec((2, 4, 3), "F32"),
        "a.experts.gate_up_proj_bias": TensorSpec((2, 4), "BF16"), "conv.weight": TensorSpec((4, 3, 3), "F32"),
        "a.experts.blocks": TensorSpec((2, 4, 3), "U8"), "experts": TensorSpec((2, 4, 3), "F32"),
        "a.experts.none": TensorSpec((0, 4, 3), "F32"), "a.experts.3.w1.weight": TensorSpec((4, 3), "F32"),
    }  # fmt: skip
    assert packs(specs) == ("a.experts.gate_up_proj", "a.block_sparse_moe.input_linear.weight")


def test_names_that_would_collide_stay():
    made = layout_of({n: TensorSpec((2, 2), "F32") for n in ("a.block_sparse_moe.gate", "a.mlp.gate")})
    assert dict(made.plain) == {n: n for n in ("a.block_sparse_moe.gate", "a.mlp.gate")}


def test_added_tensors_and_rows_keep_their_names():
    packed = stored(LAYOUTS["packed"])
    more = stored({**apart(), "head.weight": np.ones((4, 2)), "model.layers.0.mlp.gate.weight": normal((5, 8), 3)})
    back = Together(more, layout_of(packed.specs))
    assert back.specs["head.weight"].shape == (4, 2)
    assert back.specs["model.layers.0.mlp.gate.weight"].shape == (5, 8)
    assert layout_of(packed.specs).apart("head.weight") == "head.weight"


def test_a_layout_serves_layers_of_other_numbers():
    """A stack of the same layer: packed under its new number."""
    source = stored(LAYOUTS["granite"])
    layout, tensors = layout_of(source.specs), seen(source)
    moved = {n.replace("layers.0", "layers.7"): (s, bytes(tensors.buffer(n))) for n, s in tensors.specs.items()}
    both = memory({**moved, **{n: (s, bytes(tensors.buffer(n))) for n, s in tensors.specs.items()}})
    wider = layout.over([*both.specs, "new.weight"])
    made = Together(both, wider)
    assert set(made.specs) == {*source.specs, *(n.replace("layers.0", "layers.7") for n in source.specs)}
    for name in source.specs:
        assert (
            bytes(made.buffer(name))
            == bytes(made.buffer(name.replace("layers.0", "layers.7")))
            == bytes(source.buffer(name))
        )
    name = "model.layers.7.mlp.experts.1.up_proj.weight"
    assert wider.together(name) == "model.layers.7.block_sparse_moe.input_linear.weight"
    assert wider.together("new.weight") == "new.weight"
