from __future__ import annotations

import numpy as np

from deltakit.merge.compute.spool import Spool
from deltakit.tensors import TensorSpec

SPECS = {"a": TensorSpec((3, 2, 2), "BF16"), "b": TensorSpec((5, 1), "F32"), "c": TensorSpec((4,), "F32")}


def test_rows_come_back_as_they_were_put() -> None:
    spool = Spool(SPECS)
    held = {
        n: np.random.default_rng(i).standard_normal(s.shape).astype(np.float32)
        for i, (n, s) in enumerate(SPECS.items())
    }
    for name in ("b", "a", "c"):
        spool.put(name, held[name])
    for name, spec in SPECS.items():
        rows = held[name].reshape(spec.rows, -1)
        assert name in spool
        assert np.array_equal(spool.rows(name, 0, spec.rows), rows)
        assert np.array_equal(spool.rows(name, 1, 3), rows[1:3])
    spool.rows("a", 0, 1)[:] = 0
    assert np.array_equal(spool.rows("a", 0, 1), held["a"][:1].reshape(1, -1))


def test_what_was_not_put_is_not_there() -> None:
    assert "a" not in Spool(SPECS)
