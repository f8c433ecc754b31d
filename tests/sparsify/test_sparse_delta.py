"""A sparsified delta: same numbers as the flow, small terms, exact leftovers."""

import numpy as np
import pytest

from deltakit import rng
from deltakit.delta.applied import Applied
from deltakit.delta.difference import difference
from deltakit.delta.file.container import solid
from deltakit.delta.terms.sparse import Sparse
from deltakit.errors import InputError, NoEffectError, RecipeError
from deltakit.sparsify.drop import Drop
from deltakit.sparsify.flow import flow_of, through
from deltakit.sparsify.sparse_delta import sparsify
from deltakit.sparsify.trim import Trim
from support.tensors import bits, memory, normal, pair, tensor, whole


def stored(delta, name="a.weight"):
    (part,) = delta.entries[name].parts
    return solid(part.term)


def pipelines():
    return [(Drop(0.3),), (Drop(0.3, rescale=False),), (Trim(0.3),), (Trim(0.5, "tensor"), Drop(0.4))]


@pytest.mark.parametrize("steps", pipelines(), ids=str)
@pytest.mark.parametrize("dtype", ["BF16", "F32"])
def test_the_terms_hold_what_the_flow_gives(steps, dtype):
    delta = difference(*pair(dtype))
    made = sparsify(delta, steps, seed=7, name="x")
    want = through(flow_of(delta, model="x", seed=7), steps)
    for name, spec in made.specs.items():
        assert np.array_equal(made.rows(name, 0, spec.rows), want.pull(name, 0, spec.rows))
        assert np.array_equal(made.rows(name, 3, 7), want.pull(name, 3, 7))
        assert np.array_equal(stored(made, name).rows(0, spec.rows), made.rows(name, 0, spec.rows))


def test_a_lone_drop_stores_no_mask():
    made = stored(sparsify(difference(*pair()), [Drop(0.25)], seed=9, name="x"))
    assert isinstance(made, Sparse)
    assert made.key == rng.key(9, "x", "a.weight")
    assert made.factor == 4.0


def test_other_pipelines_store_a_bitmap():
    made = stored(sparsify(difference(*pair()), [Trim(0.25)]))
    assert isinstance(made, Sparse)
    assert made.key is None


def test_the_key_is_the_name_else_the_fingerprint_of_the_tuned_model():
    delta = difference(*pair())
    assert stored(sparsify(delta, [Drop(0.5)])).key == rng.key(42, delta.lineage.tuned, "a.weight")
    assert sparsify(delta, [Drop(0.5)], name="math").lineage.key == "math"


def test_the_note_says_how_it_was_made():
    note = sparsify(difference(*pair()), [Drop(0.5)], seed=3, name="x").lineage.note["sparsify"]
    assert note == {"each": "drop(density=0.5, rescale=True)", "seed": 3, "model": "x", "of": {}}


def test_added_rows_and_integers_stay_exact():
    base = memory({"e": tensor(normal((4, 3), 0)), "i": bits(np.arange(3), "I64")})
    tuned = memory({"e": tensor(normal((6, 3), 1)), "i": bits(np.arange(3) + 1, "I64"), "new": tensor(normal((2,), 2))})
    made = Applied(base, sparsify(difference(base, tuned), [Drop(1e-9)]))
    assert bytes(made.buffer("i")) == bytes(tuned.buffer("i"))
    assert bytes(made.buffer("new")) == bytes(tuned.buffer("new"))
    assert bytes(made.buffer("e", 4, 6)) == bytes(tuned.buffer("e", 4, 6))
    assert bytes(made.buffer("e", 0, 4)) == bytes(base.buffer("e"))


def test_zero_delta_gives_the_base():
    base, _ = pair()
    assert whole(Applied(base, sparsify(difference(base, base), [Drop(0.5)]))) == whole(base)


def test_density_one_has_no_effect():
    with pytest.raises(NoEffectError):
        sparsify(difference(*pair()), [Drop(1.0), Trim(1.0)])


@pytest.mark.parametrize("steps", [(Drop(0.5),), (Trim(0.9), Drop(0.5))])
def test_dropping_twice_with_one_seed_is_refused(steps):
    once = sparsify(difference(*pair()), steps, name="x")
    with pytest.raises(RecipeError, match="already dropped"):
        sparsify(once, [Drop(0.5)], name="x").rows("a.weight", 0, 1)
    twice = sparsify(once, [Drop(0.5)], name="x", seed=43)
    assert 0 < np.count_nonzero(twice.rows("a.weight", 0, 12)) < np.count_nonzero(once.rows("a.weight", 0, 12))


def test_values_that_are_not_finite_are_named():
    base = memory({"w": tensor([1.0, 2.0], "F32")})
    tuned = memory({"w": tensor([1.0, np.nan], "F32")})
    with pytest.raises(InputError, match="'w'"):
        sparsify(difference(base, tuned), [Drop(0.999999)]).rows("w", 0, 2)


@pytest.mark.parametrize("shape", [(0,), (1,), (63,), (0, 5), (5, 0), ()])
def test_odd_shapes(shape):
    base = memory({"w": tensor(np.zeros(shape), "F32"), "x": tensor([1.0], "F32")})
    tuned = memory({"w": tensor(np.ones(shape), "F32"), "x": tensor([2.0], "F32")})
    for steps in pipelines():
        made = sparsify(difference(base, tuned), steps)
        spec = made.specs["w"]
        assert made.rows("w", 0, spec.rows).shape == (spec.rows, spec.row_size)
        assert stored(made, "w").rows(0, spec.rows).shape == (spec.rows, spec.row_size)
