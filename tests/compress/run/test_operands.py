"""Opening what is to be compressed. Run: pytest tests/compress/run/test_operands.py"""

from __future__ import annotations

import json

import numpy as np
import pytest

from deltakit.checkpoint.dequantised import open_floats
from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import open_checkpoint
from deltakit.compress.run.operands import open_operands
from deltakit.delta.applied import Applied
from deltakit.delta.file.extract import extract
from deltakit.errors import MismatchError
from support.models import tiny_llama
from support.served import served_fp8


def test_a_fine_tune_and_its_delta_file_are_one_delta(tiny_base, tiny_grown, tmp_path):
    base = str(tiny_base)
    extract(base, str(tiny_grown), tmp_path / "d")
    model, file = open_operands(base, str(tiny_grown)), open_operands(base, str(tmp_path / "d"))
    assert model.delta.lineage.tuned == file.delta.lineage.tuned
    assert model.delta.specs == file.delta.specs
    assert len(model.inputs) == 2
    assert file.paths[-1] == tmp_path / "d"
    assert file.mark
    assert not model.mark


def test_a_recipe_is_a_fine_tune(tiny_base, tiny_grown, tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        f"deltakit: 1\nmethod: task_arithmetic\nbase: {tiny_base}\nmodels:\n  - model: {tiny_grown}\n    weight: 0.5\n"
    )
    assert open_operands(str(tiny_base), str(recipe)).paths[-1] == recipe


def test_a_delta_file_of_another_base_is_refused(tiny_base, tiny_grown, tmp_path):
    extract(str(tiny_base), str(tiny_grown), tmp_path / "d")
    with pytest.raises(MismatchError, match="another base"):
        open_operands(str(tiny_llama(tmp_path / "other", seed=9)), str(tmp_path / "d"))


def test_an_expression_is_a_delta_over_its_base(tiny_base, tiny_grown, tmp_path):
    base = str(tiny_base)
    extract(base, str(tiny_grown), tmp_path / "d")
    found = open_operands(base, f"{base} + 0.5*{tmp_path / 'd'}")
    name = "model.layers.0.mlp.up_proj.weight"
    whole = open_operands(base, str(tmp_path / "d")).delta
    assert np.allclose(found.delta.rows(name, 0, 4), 0.5 * whole.rows(name, 0, 4))
    assert found.mark
    assert str(tmp_path) not in json.dumps(dict(found.delta.lineage.note))
    with pytest.raises(MismatchError, match="not over"):
        open_operands(str(tiny_llama(tmp_path / "other", seed=7)), f"{base} + 0.5*{tmp_path / 'd'}")


@pytest.mark.parametrize("kind", ["model", "delta", "expression"])
def test_a_delta_against_the_served_base_makes_up_for_its_codes(tiny_base, tiny_grown, tmp_path, kind):
    """Over the dequantised base it gives the fine-tune, whatever names the fine-tune."""
    served = served_fp8(tiny_base, tmp_path / "served")
    extract(str(tiny_base), str(tiny_grown), tmp_path / "d")
    tuned = {"model": str(tiny_grown), "delta": str(tmp_path / "d"), "expression": f"{tiny_base} + {tmp_path / 'd'}"}
    found = open_operands(str(tiny_base), tuned[kind], str(served))
    assert found.delta.lineage.base == fingerprint(open_floats(served)) != fingerprint(open_checkpoint(tiny_base))
    made = Applied(found.base, found.delta)
    want = open_checkpoint(tiny_grown)
    assert all(bytes(made.buffer(n)) == bytes(want.buffer(n)) for n in want.specs)
    assert "quantization_config" not in (found.base.sidecar.config or {})
    assert served in found.paths
