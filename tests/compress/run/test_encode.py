"""One tensor as it is stored; whole deltas: tests/compress/run/test_archive.py."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.compress.codec import parse_codec
from deltakit.compress.plan.planning import plan_compression
from deltakit.compress.run.encode import Encoder
from deltakit.delta.difference import difference
from deltakit.errors import ResourceError
from support.tensors import memory, normal, tensor


def encoder(codec: str = "lowrank") -> Encoder:
    base = {"a.weight": normal((40, 30), 0), "norm.weight": normal((30,), 1)}
    tuned = {n: v + 0.1 * normal(v.shape, 5) for n, v in base.items()}
    made = [memory({n: tensor(v, "F32") for n, v in values.items()}) for values in (base, tuned)]
    delta = difference(*made)
    return Encoder.of(delta, plan_compression(delta, parse_codec(codec), ratio=8))


def test_matrices_are_coded_and_vectors_kept() -> None:
    made = encoder()
    assert (made.covers("a.weight"), made.covers("norm.weight")) == (True, False)
    assert made.entry("norm.weight") is made.delta.entries["norm.weight"]
    coded = made.entry("a.weight").parts[0].term
    assert coded.kind == "lowrank"
    assert coded.nbytes <= 40 * 30 * 4 / 8
    assert np.isfinite(coded.rows(0, 40)).all()


def test_memory_that_ends_names_the_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    made = encoder()

    def full(*given: object) -> None:
        raise MemoryError

    monkeypatch.setattr("deltakit.compress.codecs.lowrank.Lowrank.encode", full)
    with pytest.raises(ResourceError, match="out of memory on cpu while coding 'a.weight'"):
        made.entry("a.weight")
