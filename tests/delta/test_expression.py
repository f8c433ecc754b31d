"""Deltas as expressions: scaling and adding are symbolic, ordered by identity, and careful with vocabularies."""

import numpy as np
import pytest

from deltakit.delta.applied import Applied
from deltakit.delta.difference import difference
from deltakit.delta.expression import Delta, Entries, Entry, Lineage, Part, add, adds_rows, check_base, scale, total
from deltakit.errors import MismatchError, RecipeError
from deltakit.tensors import TensorSpec, to_float32
from support.tensors import bits, memory, normal, pair, tensor, whole


def floats(source, name):
    return to_float32(source.buffer(name), source.specs[name].dtype).reshape(source.specs[name].shape)


def grown(seed):
    """A base of four rows and a fine-tune with one more."""
    base = memory({"e": tensor(normal((4, 3), 0))})
    tuned = memory({"e": tensor(normal((5, 3), seed))})
    return base, tuned


def test_a_sum_starts_from_the_base_and_rounds_once():
    base, tuned = pair("BF16")
    _, other = pair("BF16", seed=7)
    other = memory({n: (other.specs[n], bytes(other.buffer(n))) for n in other.specs})
    expression = add([scale(difference(base, tuned), 0.6), scale(difference(base, other), 0.4)])
    model = Applied(base, expression)
    name = "a.weight"
    b = floats(base, name)
    deltas = sorted([(difference(base, tuned), 0.6), (difference(base, other), 0.4)], key=lambda d: d[0].lineage.key)
    summed = sum(np.float32(c) * d.rows(name, 0, 12) for d, c in deltas)
    want = tensor(b + summed)[1]
    assert bytes(model.buffer(name)) == want


def test_the_order_of_operands_does_not_matter():
    base, tuned = pair(seed=0)
    others = [pair(seed=s)[1] for s in (1, 2)]
    parts = [scale(difference(base, t), c) for t, c in [(tuned, 0.3), (others[0], 0.5), (others[1], -0.7)]]
    assert whole(Applied(base, add(parts))) == whole(Applied(base, add(parts[::-1])))


def test_nothing_added_is_the_base_and_one_whole_delta_is_the_model():
    base, tuned = pair()
    assert whole(Applied(base, difference(base, base))) == whole(base)
    assert whole(Applied(base, scale(difference(base, tuned), 0.0))) == whole(base)
    assert whole(Applied(base, scale(difference(base, tuned), 1.0))) == whole(tuned)
    assert whole(Applied(base, add([difference(base, tuned)]))) == whole(tuned)


def test_added_rows_are_kept_as_they_are_whatever_the_coefficient():
    base, tuned = grown(1)
    model = Applied(base, scale(difference(base, tuned), 0.5))
    assert model.specs["e"].shape == (5, 3)
    assert bytes(model.buffer("e", 4, 5)) == bytes(tuned.buffer("e", 4, 5))
    assert bytes(model.buffer("e", 3, 5))[6:] == bytes(tuned.buffer("e", 4, 5))
    half = floats(base, "e") + 0.5 * (floats(tuned, "e")[:4] - floats(base, "e"))
    assert bytes(model.buffer("e", 0, 4)) == tensor(half)[1]


def test_two_deltas_that_add_rows_need_a_vocabulary():
    base, first = grown(1)
    _, second = grown(2)
    deltas = [difference(base, first), difference(base, second)]
    with pytest.raises(MismatchError, match="cannot be added") as wrong:
        add(deltas)
    assert "2 of the deltas add rows" in wrong.value.details[0]
    chosen = Applied(base, add(deltas, vocabulary=deltas[1]))
    assert bytes(chosen.buffer("e", 4, 5)) == bytes(second.buffer("e", 4, 5))


def test_one_grown_model_and_one_plain_one_can_be_added():
    base, first = grown(1)
    plain = memory({"e": tensor(normal((4, 3), 5))})
    deltas = [difference(base, first), difference(base, plain)]
    assert adds_rows(deltas[0]) == ["e"]
    model = Applied(base, add(deltas))
    assert model.specs["e"].shape == (5, 3)
    assert bytes(model.buffer("e", 4, 5)) == bytes(first.buffer("e", 4, 5))


def test_an_integer_tensor_that_changed_has_no_multiple():
    base, tuned = memory({"i": bits([1, 2], "I64")}), memory({"i": bits([1, 3], "I64")})
    assert whole(Applied(base, difference(base, tuned))) == whole(tuned)
    with pytest.raises(MismatchError, match="integer"):
        scale(difference(base, tuned), 0.5).entries["i"]


@pytest.mark.parametrize("coef", [float("nan"), float("inf")])
def test_coefficients_are_finite(coef):
    with pytest.raises(RecipeError):
        scale(Delta({}), coef)


def test_a_tensor_is_missing_only_if_all_lack_it():
    spec = TensorSpec((1,), "F32")
    entry = Entry(spec, 1)
    first = Delta({"a": entry}, ("b", "c"), Lineage(tuned="1"))
    second = Delta({"a": entry, "b": entry}, ("c",), Lineage(tuned="2"))
    assert add([first, second]).missing == ("c",)
    assert list(add([first, second]).specs) == ["a", "b"]


def test_total_of_no_parts_is_zero():
    assert total((), 2, 5, 3).tolist() == np.zeros((3, 3)).tolist()


def test_bits_are_known_for_one_whole_term_only():
    base, tuned = pair()
    entry = difference(base, tuned).entries["a.weight"]
    assert entry.bits is not None
    twice = Entry(entry.spec, entry.shared, entry.parts * 2)
    assert twice.bits is None
    assert Entry(entry.spec, entry.shared, (Part(0.5, entry.parts[0].term),)).bits is None


def test_a_delta_belongs_to_one_base():
    delta = Delta({}, (), Lineage(base="sha256:1"))
    check_base(delta, "sha256:1", "here")
    check_base(Delta({}), "sha256:anything", "an adapter holds none")
    with pytest.raises(MismatchError, match="another base"):
        check_base(delta, "sha256:2", "here")


def test_entries_are_made_when_asked_for_and_kept_only_where_that_is_cheap():
    made = []

    def make(name):
        made.append(name)
        return Entry(TensorSpec((1,), "F32"), 1)

    specs = {"b": TensorSpec((1,), "F32"), "a": TensorSpec((1,), "F32")}
    kept = Entries(specs, make)
    assert (list(kept), len(kept), made) == (["a", "b"], 2, [])
    assert kept["a"] is kept["a"]
    assert made == ["a"]
    anew = Delta(kept).map(lambda name, entry: Entry(entry.spec, 0)).entries
    assert anew["b"] is not anew["b"]
    with pytest.raises(KeyError):
        anew["c"]


def with_integers(source, first):
    """`source` and an integer tensor that begins with `first`."""
    tensors = {n: (s, bytes(source.buffer(n))) for n, s in source.specs.items()}
    return memory({**tensors, "ids": bits([[first, 7, 9]], "I64")})


def test_integers_that_did_not_change_are_in_no_sums_way():
    base, tuned = (with_integers(m, 1) for m in pair())
    delta, other = difference(base, tuned), difference(base, with_integers(pair(seed=3)[0], 1))
    for made in (scale(delta, 0.5), add([scale(delta, 0.5), other])):
        assert bytes(Applied(base, made).buffer("ids")) == bytes(base.buffer("ids"))


def test_integers_that_changed_are_kept_or_refused_by_name():
    base, tuned = with_integers(pair()[0], 1), with_integers(pair()[1], 2)
    delta, same = difference(base, tuned), difference(base, with_integers(pair()[1], 1))
    assert bytes(Applied(base, add([delta, same])).buffer("ids")) == bytes(tuned.buffer("ids"))
    with pytest.raises(MismatchError) as found:
        add([delta, difference(base, with_integers(pair()[1], 3))])
    assert "ids: 2 of the deltas change this I64 tensor" in found.value.details
    with pytest.raises(MismatchError, match="'ids' is I64"):
        scale(delta, 0.5).entries["ids"]
