"""Copies of the base's own rows cost nothing, trained on or not they come back bit for bit."""

import numpy as np
import pytest

from deltakit.delta.applied import Applied
from deltakit.delta.difference import difference
from deltakit.delta.file.container import open_delta
from deltakit.delta.file.write import write_delta
from deltakit.delta.terms.copy import Copy, shifted
from deltakit.errors import CheckpointError, MismatchError
from deltakit.tensors import TensorSpec
from support.tensors import memory, normal, tensor, whole


def stacked():
    """A base of two layers and an untied, deeper model of it: what mergekit calls a passthrough."""
    layers = [normal((64, 32), i) for i in range(2)]
    embed = normal((100, 32), 5)
    base = {"embed": embed, "layers.0.w": layers[0], "layers.1.w": layers[1], "norm": normal((32,), 6)}
    tuned = {**base, "layers.1.w": layers[0], "layers.2.w": layers[1] + normal((64, 32), 7, 0.01), "head": embed}
    return ({n: tensor(v) for n, v in made.items()} for made in (base, tuned))


def test_a_stacked_model_is_stored_as_copies(tmp_path):
    base, tuned = (memory(t) for t in stacked())
    path = tmp_path / "d"
    write_delta(path, difference(base, tuned), plan={})
    read = open_delta(path)
    assert whole(Applied(base, read)) == whole(tuned)
    kinds = {n: [t.kind for t in read.entries[n].terms] for n in read.specs}
    assert kinds == {
        "embed": [], "head": ["copy"], "layers.0.w": [], "layers.1.w": ["copy"], "layers.2.w": ["copy"], "norm": [],
    }  # fmt: skip
    assert read.entries["head"].added.nbytes == 0
    assert read.entries["layers.1.w"].parts[0].term.nbytes == 0
    assert 0 < read.entries["layers.2.w"].added.nbytes < 0.6 * tuned.specs["layers.2.w"].nbytes


def test_rows_are_differences_among_the_parts_and_values_where_added(tmp_path):
    base, tuned = (memory(t) for t in stacked())
    write_delta(tmp_path / "d", difference(base, tuned), plan={})
    bound = open_delta(tmp_path / "d").bind(base)
    want = difference(base, tuned)
    for name in ("layers.1.w", "layers.2.w", "head"):
        found, exact = bound.entries[name], want.entries[name]
        for one, two in zip(found.terms, exact.terms, strict=True):
            assert (one.rows(0, 64) == two.rows(0, 64)).all()
            assert (one.gather([3, 60, 3]) == two.rows(0, 64)[[3, 60, 3]]).all()


def test_a_base_without_the_source_is_refused():
    base, tuned = (memory(t) for t in stacked())
    made = Copy(tuned.specs["head"], memoryview(b""), source="embed")
    assert (made.bind(base, "").rows(0, 2) == np.frombuffer(base.buffer("embed", 0, 2), "<u2").size) is not None
    with pytest.raises(MismatchError, match="without its base"):
        made.rows(0, 1)
    with pytest.raises(MismatchError, match="'gone', which it has not"):
        Copy(tuned.specs["head"], memoryview(b""), source="gone").bind(base, "")
    with pytest.raises(MismatchError, match="copies rows 1..101"):
        shifted(base, "embed", 1, tuned.specs["head"])


@pytest.mark.parametrize(
    ("fields", "payload"),
    [({"n": 3}, b""), ({"n": "x", "r": -1}, b""), ({"n": "x", "k": "raw"}, b""), ({"n": "x"}, b"1"),
     ({"n": "x", "k": "exact"}, b"")],
)  # fmt: skip
def test_malformed_copies_are_refused(fields, payload):
    with pytest.raises(CheckpointError):
        Copy.load(fields, memoryview(payload), TensorSpec((4, 4), "BF16"))
