"""Which models may run over slots; that each does it right is in test_exact.py."""

import pytest

from deltakit.generate.continuous.families import FAMILIES, unfit
from support.architectures import tiny


def test_the_first_families_are_there() -> None:
    assert {"llama", "mistral", "qwen2", "qwen3"} <= FAMILIES
    assert unfit(tiny("llama").model) == ""
    assert unfit(tiny("qwen2").model) == ""


def test_others_are_told_why() -> None:
    assert "'bert' has not been proved" in unfit(tiny("bert").model)


@pytest.mark.parametrize("rope", ["dynamic", "longrope"])
def test_angles_that_depend_on_the_batch_are_refused(rope: str) -> None:
    model = tiny("llama").model
    model.config.rope_parameters = {"full_attention": {"rope_type": rope}}
    assert f"({rope}) looks at the whole batch" in unfit(model)


def test_other_kinds_of_layers_are_refused() -> None:
    model = tiny("llama").model
    model.config.layer_types = ["full_attention", "linear_attention"]
    assert unfit(model) == "it has layers of linear_attention"
