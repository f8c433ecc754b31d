"""One model as it is, or times a number."""

import numpy as np
import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.errors import RecipeError
from deltakit.merge.methods.passthrough import passthrough
from support.merging import draw, plan, rounded, store, values
from support.tensors import whole


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_its_bits_are_kept(dtype, tmp_path):
    model = store(tmp_path / "m", draw(0, dtype), dtype)
    assert whole(plan("passthrough", None, [model]).tensors) == whole(open_checkpoint(model))


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
@pytest.mark.parametrize("based", [True, False])
def test_a_factor_is_rounded_once(based, dtype, tmp_path):
    model = draw(0, dtype)
    base = store(tmp_path / "base", draw(1, dtype), dtype) if based else None
    made = values(plan("passthrough", base, [store(tmp_path / "m", model, dtype)], factor=0.3).tensors)
    want = rounded({n: v * np.float32(0.3) for n, v in model.items()}, dtype)
    assert all(np.array_equal(made[n], want[n]) for n in want)


def test_what_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="one model, not 2"):
        plan("passthrough", None, ["a", "b"])
    with pytest.raises(RecipeError, match="no weights"):
        plan("passthrough", None, [{"model": "a", "weight": 0.5}])
    with pytest.raises(RecipeError, match="no number"):
        passthrough(float("inf"))
