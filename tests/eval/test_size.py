"""Bytes on disk of what a MODEL string names."""

from pathlib import Path

import pytest

from deltakit.delta.expression import Lineage
from deltakit.delta.file.extract import extract
from deltakit.delta.file.write import write_sum
from deltakit_eval.size import stored_bytes


@pytest.fixture(scope="module")
def made(tiny_base: Path, tiny_grown: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("size") / "grown.delta"
    extract(str(tiny_base), str(tiny_grown), path)
    return path


def weights(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.glob("*.safetensors"))


def test_a_checkpoint_counts_its_weight_files(tiny_base):
    assert stored_bytes(str(tiny_base)) == weights(tiny_base)


def test_an_expression_counts_its_deltas_once_and_not_its_base(tiny_base, tiny_grown, made):
    size = made.stat().st_size
    assert stored_bytes(f"{tiny_base} + {made}") == size
    assert stored_bytes(f"{tiny_base} + 0.6*{made} - 0.1*{made}") == size
    assert stored_bytes(f"{tiny_base} + 0.6*{made} + 0.1*{tiny_grown}") == size + weights(tiny_grown)


def test_a_recipe_is_not_stored(tmp_path):
    recipe = tmp_path / "merge.yaml"
    recipe.write_text("deltakit: 1\n")
    assert stored_bytes(str(recipe)) is None


def test_a_stored_expression_counts_its_sources(tiny_base, made, tmp_path):
    stored = tmp_path / "sum.delta"
    write_sum(stored, [{"coef": 0.5, "of": str(made)}], Lineage())
    assert stored_bytes(f"{tiny_base} + {stored}") == stored.stat().st_size + made.stat().st_size
