"""Opening what is to be compressed. Run: pytest tests/compress/run/test_operands.py"""

from __future__ import annotations

import pytest

from deltakit.compress.run.operands import open_operands
from deltakit.delta.file.extract import extract
from deltakit.errors import MismatchError
from support.models import tiny_llama


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
        f"deltakit: 1\nmethod: task_arithmetic\nbase: {tiny_base}\nmodels:\n"
        f"  - model: {tiny_grown}\n    weight: 0.5\n"
    )
    assert open_operands(str(tiny_base), str(recipe)).paths[-1] == recipe


def test_a_delta_file_of_another_base_is_refused(tiny_base, tiny_grown, tmp_path):
    extract(str(tiny_base), str(tiny_grown), tmp_path / "d")
    with pytest.raises(MismatchError, match="another base"):
        open_operands(str(tiny_llama(tmp_path / "other", seed=9)), str(tmp_path / "d"))
