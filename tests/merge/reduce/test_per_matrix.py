"""Which tensors count as matrices, and what becomes of values that are not finite."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deltakit.errors import InputError
from deltakit.merge.method import Group
from deltakit.merge.reduce.per_matrix import is_matrix
from deltakit.merge.reduce.singular_vectors import SingularVectors
from deltakit.tensors import TensorSpec
from support.flows import collect, flow


@pytest.mark.parametrize(
    ("name", "shape", "counts"),
    [
        ("model.layers.0.mlp.up_proj.weight", (8, 6), True),
        ("model.layers.0.mlp.experts.gate_up_proj", (4, 8, 6), True),
        ("model.layers.0.conv1d.weight", (8, 6, 4), False),
        ("model.embed_tokens.weight", (90, 6), False),
        ("transformer.wte.weight", (90, 6), False),
        ("shared.weight", (90, 6), False),
        ("lm_head.weight", (90, 6), False),
        ("bert.encoder.layer.0.attention.output.dense.weight", (6, 6), True),
        ("model.layers.0.mlp.shared_expert.up_proj.weight", (8, 6), True),
        ("model.norm.weight", (6,), False),
        ("scale", (), False),
        ("model.layers.0.thin.weight", (1, 6), False),
        ("model.layers.0.narrow.weight", (2, 6), False),
    ],
)
def test_names_and_shapes_decide(name: str, shape: tuple[int, ...], counts: bool) -> None:
    assert is_matrix(name, TensorSpec(shape, "F32"), models=3) == counts


def test_embeddings_count_on_request() -> None:
    assert is_matrix("lm_head.weight", TensorSpec((90, 6), "F32"), 2, embeddings=True)


def test_what_is_not_finite_is_named() -> None:
    bad = np.zeros((3, 4), np.float32)
    bad[1, 1] = np.inf
    group = Group((flow({"a.weight": bad}), flow({"a.weight": np.ones((3, 4))})), (1.0, 1.0), lambda *_: bad)
    with pytest.raises(InputError, match=r"a\.weight.*not finite"):
        collect(SingularVectors().over(group))


def test_torch_has_its_threads_back() -> None:
    before = torch.get_num_threads()
    group = Group((flow({"a.weight": np.eye(4)}),), (1.0,), lambda *_: np.zeros((4, 4), np.float32))
    assert np.allclose(collect(SingularVectors().over(group))["a.weight"], np.eye(4), atol=1e-6)
    assert torch.get_num_threads() == before


def test_packed_experts_are_merged_one_by_one() -> None:
    rng = np.random.default_rng(0)
    packed = [rng.standard_normal((3, 6, 4)).astype(np.float32) for _ in range(2)]

    def merged(name: str, deltas: list[np.ndarray]) -> np.ndarray:
        flows = tuple(flow({name: d}) for d in deltas)
        return collect(SingularVectors().over(Group(flows, (1.0, 0.5), lambda *_: deltas[0])))[name]

    together = merged("mlp.experts.up", packed)
    for e in range(3):
        assert np.array_equal(together[e], merged("mlp.up.weight", [p[e] for p in packed]))
