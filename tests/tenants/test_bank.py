"""The bank holds equal content once. Run: pytest tests/tenants/test_bank.py"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deltakit.delta.terms.dense import Dense
from deltakit.delta.terms.exact import Exact
from deltakit.errors import InputError, RecipeError
from deltakit.tenants.bank import Bank
from deltakit.tensors import Mapped, TensorSpec

SPEC = TensorSpec((4, 3), "F32")


def dense(seed: int) -> Dense:
    values = np.random.default_rng(seed).standard_normal((4, 3)).astype(np.float32)
    return Dense.of(lambda lo, hi: values[lo:hi], SPEC)


def one(values: np.ndarray) -> Mapped:
    return Mapped({"w": SPEC}, lambda name, lo, hi: values[lo:hi].tobytes())


def test_equal_terms_are_held_once_and_others_apart() -> None:
    bank = Bank("packed", torch.float32, "cpu")
    first = bank.take(dense(0), "a")
    assert bank.take(dense(0), "a") is first
    assert bank.take(dense(1), "a") is not first
    assert bank.take(dense(0), "b") is not first  # tensors may be trained apart
    assert len(bank) == 3
    assert bank.nbytes == 2 * dense(0).nbytes + dense(1).nbytes
    bank.keep([first])
    assert len(bank) == 1
    assert bank.take(dense(0), "a") is first


def test_tuned_bits_count_as_differences_and_none_as_nothing() -> None:
    base, tuned = np.zeros((4, 3), np.float32), np.eye(4, 3, dtype=np.float32)
    bank = Bank("packed", torch.float32, "cpu")
    term = Exact.of(one(base), one(tuned), "w", SPEC)
    held = bank.take(term, "w")
    assert held is not None
    assert torch.equal(held.dense(), torch.from_numpy(tuned))
    assert bank.take(Exact.of(one(base), one(tuned), "w", SPEC), "w") is held
    assert bank.take(Exact.of(one(base), one(base), "w", SPEC), "w") is None
    assert len(bank) == 1


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InputError, match="'w'.*not finite"):
        Bank("fast", torch.float32, "cpu").put("key", np.full((4, 3), np.nan, np.float32), (4, 3), "w")
    with pytest.raises(RecipeError, match="'loosely'"):
        Bank("loosely", torch.float32, "cpu")


def test_a_term_that_is_known_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bank, term = Bank("fast", torch.float32, "cpu"), dense(0)
    held = bank.take(term, "a")
    with monkeypatch.context() as patch:
        patch.setattr(Dense, "save", lambda self: pytest.fail("read again"))
        assert bank.take(term, "a") is held
    assert bank.take(term, "b") is not held  # of another tensor
    bank.keep([])
    assert bank.take(term, "a") is not held
