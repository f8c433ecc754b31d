"""The planned bytes: canonical, aligned, without holes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.checkpoint.header import parse_header
from deltakit.checkpoint.layout import plan_layout
from deltakit.errors import InputError, RecipeError
from deltakit.tensors import ITEMSIZE, TensorSpec

SHAPES = st.lists(st.integers(0, 5), max_size=3).map(tuple)
SPECS = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6).filter(lambda n: n != "__metadata__"),
    st.builds(TensorSpec, SHAPES, st.sampled_from(sorted(ITEMSIZE))),
    min_size=1,
    max_size=12,
)


@given(SPECS, st.integers(1, 300))
def test_every_shard_parses_strictly_and_every_tensor_is_aligned(specs: dict[str, TensorSpec], limit: int) -> None:
    layout = plan_layout(specs, limit)
    seen = {}
    for file, header in layout.headers.items():
        assert len(header) % 8 == 0
        parsed = parse_header(header[8:], layout.sizes[file], file)
        text = json.loads(header[8:])
        assert list(text)[1:] == sorted(list(text)[1:])
        for name, place in parsed.tensors.items():
            assert place.start % place.spec.itemsize == 0
            assert (layout.places[name].file, layout.places[name].offset) == (file, place.start)
            seen[name] = place.spec
        held = sum(place.spec.nbytes for place in parsed.tensors.values())
        assert held <= limit or len([p for p in parsed.tensors.values() if p.spec.nbytes]) == 1
    assert seen == specs
    assert (layout.index is None) == (len(layout.headers) == 1)


@given(SPECS, st.integers(1, 300), st.randoms())
def test_the_order_of_the_specs_does_not_matter(specs: dict[str, TensorSpec], limit: int, random: object) -> None:
    names = list(specs)
    random.shuffle(names)  # type: ignore[attr-defined]
    assert plan_layout({n: specs[n] for n in names}, limit) == plan_layout(specs, limit)


def test_names_and_index_of_shards() -> None:
    layout = plan_layout({n: TensorSpec((2,), "F32") for n in "abc"}, 16)
    assert list(layout.sizes) == ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    assert layout.index is not None
    assert json.loads(layout.index) == {
        "metadata": {"total_size": 24},
        "weight_map": {n: f"model-0000{1 + (n == 'c')}-of-00002.safetensors" for n in "abc"},
    }
    assert layout.nbytes == sum(layout.sizes.values()) + len(layout.index)
    assert list(plan_layout({"a": TensorSpec((2,), "F32")}).sizes) == ["model.safetensors"]


def test_what_cannot_be_planned() -> None:
    with pytest.raises(RecipeError):
        plan_layout({"a": TensorSpec((), "F32")}, 0)
    with pytest.raises(InputError):
        plan_layout({})


def test_a_header_over_the_cap_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deltakit.checkpoint.layout.MAX_HEADER", 2000)
    names = {f"{i}{'x' * 60}": TensorSpec((1,), "U8") for i in range(30)}
    with pytest.raises(InputError, match="smaller shards"):
        plan_layout(names)
    assert plan_layout(names, 10).index
