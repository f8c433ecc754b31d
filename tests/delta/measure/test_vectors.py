"""Norms, cosines and signs of task vectors agree with whole vectors in numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.delta.difference import difference
from deltakit.delta.measure.vectors import add_up, task_vectors, vectors_as_dict
from deltakit.errors import MismatchError
from support.merging import draw, family, flat, store, values


@pytest.fixture
def opened(tmp_path: Path) -> tuple[object, list[object]]:
    base, models = family(tmp_path, 3)
    return open_checkpoint(base), [open_checkpoint(m) for m in models]


def test_the_whole_is_that_of_the_flat_vectors(opened) -> None:
    base, models = opened
    start = flat(values(base)).astype(np.float64)
    taus = [flat(values(m)).astype(np.float64) - start for m in models]
    whole = add_up("", task_vectors(base, [difference(base, m) for m in models]))
    for i in range(3):
        assert whole.relative(i) == pytest.approx(np.linalg.norm(taus[i]) / np.linalg.norm(start), rel=1e-5)
        for j in range(i):
            cosine = taus[i] @ taus[j] / np.linalg.norm(taus[i]) / np.linalg.norm(taus[j])
            both = (taus[i] != 0) & (taus[j] != 0)
            assert whole.cosine(i, j) == pytest.approx(cosine, abs=1e-6)
            assert whole.signs(i, j) == np.mean(np.sign(taus[i][both]) == np.sign(taus[j][both]))


def test_tensors_come_one_by_one_in_order(opened) -> None:
    base, models = opened
    found = vectors_as_dict("abc", task_vectors(base, [difference(base, m) for m in models]))
    assert [t["name"] for t in found["tensors"]] == list(base.specs)
    assert [p["pair"] for p in found["whole"]["pairs"]] == [["a", "b"], ["a", "c"], ["b", "c"]]


def test_a_vector_of_zeros_has_no_direction(opened) -> None:
    base, models = opened
    deltas = [difference(base, m) for m in (base, models[0])]
    whole = add_up("", task_vectors(base, deltas))
    assert (whole.cosine(0, 1), whole.signs(0, 1), whole.relative(0)) == (None, None, 0.0)


def test_rows_of_other_sizes_are_refused_all_at_once(tmp_path: Path) -> None:
    base, (model,) = family(tmp_path, 1)
    other = store(tmp_path / "other", draw(1, shapes={"head.weight": (9, 8), "up.weight": (7, 9, 3)}))
    opened = open_checkpoint(base)
    ours, theirs = open_checkpoint(model), open_checkpoint(other)
    with pytest.raises(MismatchError) as wrong:
        task_vectors(opened, [difference(ours, ours), difference(theirs, theirs)])
    assert wrong.value.details == ("head.weight", "up.weight")
