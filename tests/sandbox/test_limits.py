from __future__ import annotations

import pytest

from deltakit.errors import RecipeError
from deltakit.sandbox.limits import Limits


@pytest.mark.parametrize(
    "given", [{"memory": 1000}, {"file": 0}, {"output": 0}, {"files": 3}, {"processes": 1}, {"folder": 1}]
)
def test_limits_that_nothing_could_run_in(given):
    with pytest.raises(RecipeError, match=next(iter(given))):
        Limits(**given)


def test_as_the_design_says():
    assert (Limits().memory, Limits().file, Limits().files, Limits().output) == (1 << 30, 1 << 20, 64, 1 << 16)
