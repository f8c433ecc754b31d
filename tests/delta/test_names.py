"""Modules of adapters meet tensors of checkpoints."""

import pytest

from deltakit.delta.names import meet
from deltakit.errors import MismatchError


def test_names_meet_as_they_are_or_with_one_prefix_throughout():
    names = ["h.0.attn.weight", "h.1.attn.weight", "wte.weight"]
    assert meet(["h.1.attn", "h.0.attn"], names) == {"h.0.attn": "h.0.attn.weight", "h.1.attn": "h.1.attn.weight"}
    assert meet(["transformer.h.0.attn"], names) == {"transformer.h.0.attn": "h.0.attn.weight"}
    assert meet(["layers.0.q"], ["model.layers.0.q.weight"]) == {"layers.0.q": "model.layers.0.q.weight"}
    assert meet([], names) == {}


def test_modules_that_are_nowhere_are_all_listed():
    with pytest.raises(MismatchError, match="25 of the adapter's 26") as wrong:
        meet([f"x.{i}" for i in range(25)] + ["a"], ["a.weight"])
    assert wrong.value.details[-1] == "... and 5 more"
