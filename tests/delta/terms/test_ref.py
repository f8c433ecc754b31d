"""References store nothing and become exact terms when they are stored."""

import pytest

from deltakit.delta.terms.exact import Exact
from deltakit.delta.terms.raw import Raw
from deltakit.delta.terms.ref import Ref, Rest
from deltakit.errors import DeltakitError
from deltakit.tensors import TensorSpec
from support.tensors import memory, tensor


def test_a_reference_is_the_difference_and_holds_the_tuned_bits():
    base, tuned = memory({"w": tensor([[1.0], [2.0]])}), memory({"w": tensor([[1.5], [2.0]])})
    ref = Ref(tuned.specs["w"], "w", base, tuned)
    assert ref.rows(0, 2).tolist() == [[0.5], [0.0]]
    assert bytes(ref.bits(0, 1)) == bytes(tuned.buffer("w", 0, 1))
    assert ref.nbytes == 0
    assert isinstance(ref.solid(), Exact)
    assert ref.save() == ref.solid().save()


def test_rest_gives_the_rows_behind_the_base():
    tuned = memory({"w": tensor([[1.0], [2.0], [3.0]])})
    rest = Rest(TensorSpec((1, 1), "BF16"), "w", tuned, 2)
    assert rest.rows(0, 1).tolist() == [[3.0]]
    assert rest.nbytes == 0
    assert isinstance(rest.solid(), Raw)
    assert rest.save() == rest.solid().save()


@pytest.mark.parametrize("kind", [Ref, Rest])
def test_references_are_never_read_from_a_file(kind):
    with pytest.raises(DeltakitError, match="never stored"):
        kind.load({}, memoryview(b""), TensorSpec((1,), "F32"))
