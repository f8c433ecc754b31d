"""Where mergekit's dialect leaves mergekit is told, and only where a config touches it."""

from __future__ import annotations

import pytest

from deltakit.merge.mergekit.repair import repairs
from deltakit.tensors import TensorSpec
from support.mergekit import resolved

TEXT = "merge_method: {}\nbase_model: z\nmodels: [{{model: a, parameters: {{weight: 1, density: 0.5}}}}]\n"


def notes(method, shape=(30, 20), dialect="mergekit"):
    made = resolved(TEXT.format(method), dialect=dialect)
    spec = {name: TensorSpec(shape, "F32") for name in made.pieces}
    return repairs(made, {"a": spec, "z": spec})


@pytest.mark.parametrize("method", ["linear", "ties", "breadcrumbs"])
def test_methods_without_chance_leave_nothing(method):
    assert notes(method, (4, 3, 5)) == []


@pytest.mark.parametrize("method", ["dare_linear", "dare_ties", "della", "della_linear"])
def test_random_masks_are_told(method):
    assert notes(method) == [f"{method}: masks are keyed by seed, model and tensor, and are not mergekit's draws"]


@pytest.mark.parametrize("method", ["della", "della_linear"])
def test_shapes_that_della_ranks_otherwise(method):
    (_, packed) = notes(method, (4, 3, 5))
    count = len(resolved(TEXT.format(method)).pieces) - 1
    assert packed == (
        f"lm_head.weight and {count} more tensor(s): "
        "elements are ranked along the last dimension; mergekit ranks along the second"
    )
    (_, narrow) = notes(method, (4, 1))
    assert narrow.endswith("rows of one element have the middle probability; mergekit fails there")


def test_other_dialects_leave_nothing():
    assert notes("dare_ties", dialect="paper") == []
