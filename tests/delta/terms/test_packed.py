"""Payloads of byte planes are checked against their spec before anything is read."""

from __future__ import annotations

import numpy as np
import pytest

from deltakit.delta.terms.dense import Dense
from deltakit.delta.terms.raw import Raw
from deltakit.errors import CheckpointError
from deltakit.tensors import TensorSpec
from support.tensors import memory, tensor


def test_a_payload_of_another_size_is_refused() -> None:
    term = Raw.of(memory({"w": tensor(np.ones((4, 3)), "BF16")}), "w")
    fields, payload = term.save()
    assert Raw.load(fields, memoryview(payload), term.spec).rows(0, 4).tolist() == np.ones((4, 3)).tolist()
    with pytest.raises(CheckpointError):
        Raw.load(fields, memoryview(payload)[:3], term.spec)


def test_elements_are_as_wide_as_what_is_stored() -> None:
    made = Dense.of(lambda lo, hi: np.ones((hi - lo, 3), np.float32), TensorSpec((4, 3), "F32"), "BF16")
    assert made.itemsize == 2
    assert made.nbytes == len(made.save()[1])
