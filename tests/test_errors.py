"""Every expected error tells what, where and what to do, and has its exit code."""

from __future__ import annotations

import pytest

from deltakit import errors
from deltakit.errors import DeltakitError

CODES = {
    "DeltakitError": 1,
    "RecipeError": 2,
    "InputError": 3,
    "CheckpointError": 3,
    "MismatchError": 3,
    "NonFiniteError": 3,
    "UnsafeError": 4,
    "ResourceError": 5,
    "VerificationError": 6,
    "NoEffectError": 6,
}


def test_every_kind_has_its_code() -> None:
    assert set(CODES) == set(errors.__all__)
    for name, code in CODES.items():
        kind = getattr(errors, name)
        assert issubclass(kind, DeltakitError)
        assert kind("x").exit_code == code


def test_the_text_shows_all_problems_and_the_remedy() -> None:
    error = DeltakitError("two faults in f", remedy="mend them", details=["one", "two"])
    assert str(error) == "two faults in f\n  - one\n  - two\nhint: mend them"
    assert (error.message, error.remedy, error.details) == ("two faults in f", "mend them", ("one", "two"))
    assert str(DeltakitError("plain")) == "plain"


def test_an_input_error_is_caught_as_such() -> None:
    with pytest.raises(errors.InputError):
        raise errors.CheckpointError("x")
