"""The difference of two checkpoints: lazy, exact, and refused where the pair does not fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.delta.applied import Applied
from deltakit.delta.difference import difference
from deltakit.errors import MismatchError
from deltakit.tensors import Mapped
from support.tensors import bits, memory, normal, pair, tensor, whole


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_the_lineage_holds_both_fingerprints(dtype):
    base, tuned = pair(dtype)
    delta = difference(base, tuned, name="math", note={"r": 8})
    assert (delta.lineage.base, delta.lineage.tuned) == (fingerprint(base), fingerprint(tuned))
    assert delta.lineage.key == "math"
    assert difference(base, tuned).lineage.key == fingerprint(tuned)
    assert delta.nbytes == 0


def test_specs_cost_no_reads():
    base, tuned = pair()
    reads = []

    def watched(name, lo, hi):
        reads.append(name)
        return tuned.buffer(name, lo, hi)

    delta = difference(base, Mapped(tuned.specs, watched))
    reads.clear()
    assert list(delta.specs) == sorted(tuned.specs)
    assert reads == []


@given(st.sampled_from(["BF16", "F16", "F32"]), st.sampled_from(["BF16", "F16", "F32"]), st.integers(0, 99))
def test_base_plus_difference_is_the_tuned_model(base_dtype, dtype, seed):
    base = memory({"w": tensor(normal((5, 4), seed), base_dtype)})
    tuned = memory({"w": tensor(normal((5, 4), seed + 1), dtype)})
    assert whole(Applied(base, difference(base, tuned))) == whole(tuned)


def test_tensors_that_either_side_lacks():
    base = memory({"a": tensor([1.0]), "tied": tensor([2.0])})
    tuned = memory({"a": tensor([1.5]), "head": tensor([[3.0, 4.0]])})
    delta = difference(base, tuned)
    assert delta.missing == ("tied",)
    assert delta.entries["head"].shared == 0
    assert whole(Applied(base, delta)) == whole(tuned)


def test_a_cropped_vocabulary():
    base, tuned = memory({"e": tensor(normal((6, 2), 0))}), memory({"e": tensor(normal((4, 2), 1))})
    assert whole(Applied(base, difference(base, tuned))) == whole(tuned)


def test_all_misfits_are_listed_at_once():
    base = memory({"a": tensor(normal((2, 3), 0)), "b": tensor([1.0]), "c": bits([1], "I64"), "d": tensor([1.0])})
    tuned = memory({"a": tensor(normal((3, 2), 0)), "b": tensor([[1.0]]), "c": tensor([1.0]), "d": tensor([2.0])})
    with pytest.raises(MismatchError, match="3 tensor") as wrong:
        difference(base, tuned)
    assert [d.split(":")[0] for d in wrong.value.details] == ["a", "b", "c"]
    assert "base [2, 3] BF16, tuned [3, 2] BF16" in wrong.value.details[0]


def test_models_without_a_common_name():
    with pytest.raises(MismatchError, match="no tensor name"):
        difference(memory({"a": tensor([1.0])}), memory({"b": tensor([1.0])}))
