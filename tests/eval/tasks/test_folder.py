from __future__ import annotations

from pathlib import Path

import pytest

from deltakit_eval.tasks.config import config
from deltakit_eval.tasks.folder import write_folder
from deltakit_eval.tasks.names import find_variant, full_names

pytest.importorskip("lm_eval")

from lm_eval.tasks._yaml_loader import load_yaml  # noqa: E402


def test_every_file_says_what_the_table_says(tmp_path: Path) -> None:
    write_folder(tmp_path)
    assert sorted(file.stem for file in tmp_path.iterdir()) == full_names()
    for name in full_names():
        assert load_yaml(tmp_path / f"{name}.yaml") == config(find_variant(name)), name


def test_other_variants_are_added_and_other_words_are_not(tmp_path: Path) -> None:
    write_folder(tmp_path, ["deltakit_gsm8k_cot3", "deltakit_nothing", "gsm8k:cot2", "--tasks"])
    extra = {file.stem for file in tmp_path.iterdir()} - set(full_names())
    assert extra == {"deltakit_gsm8k_cot3"}
