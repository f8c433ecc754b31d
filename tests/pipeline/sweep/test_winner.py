"""The winner written: the bytes of its merge, its recipe beside it, and on its card how it was chosen."""

import json
from pathlib import Path

import pytest

from deltakit.delta.open import open_model
from deltakit.errors import InputError
from deltakit.pipeline.sweep import run as module
from deltakit.pipeline.sweep.run import sweep
from deltakit.pipeline.sweep.winner import check_winner, write_winner
from support.sweeps import Told, family, recipe


def test_it_is_the_merge_that_won(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = family(tmp_path / "models")
    monkeypatch.setattr(module, "evaluate", Told(lambda x, i: float(abs(x - 0.4) < 0.01 * i)))
    found = sweep(recipe(models), tmp_path / "out.json")
    written = write_winner(found, tmp_path / "won")
    assert written.kind == "model"
    made, wanted = (
        open_model(text).tensors
        for text in (str(tmp_path / "won"), f"{models}/base + 0.4*{models}/math + 0.4*{models}/chat")
    )
    assert all(bytes(made.buffer(n)) == bytes(wanted.buffer(n)) for n in wanted.specs)
    again = open_model(str(tmp_path / "won" / "merge.yaml")).tensors
    assert all(bytes(made.buffer(n)) == bytes(again.buffer(n)) for n in wanted.specs)
    card = (tmp_path / "won" / "README.md").read_text()
    assert "Chosen among 3 candidates by a sweep of lambda" in card
    assert "within noise" in card
    manifest = json.loads((tmp_path / "won" / "deltakit.json").read_text())
    assert manifest["notes"][0].startswith("Chosen among 3")
    assert write_winner(found, tmp_path / "won.delta").kind == "expression"


def test_a_place_that_is_taken_is_refused_before_the_search(tmp_path: Path) -> None:
    (tmp_path / "won").mkdir()
    check_winner(tmp_path / "won")
    (tmp_path / "won" / "mine").write_text("x")
    with pytest.raises(InputError, match="is not empty"):
        check_winner(tmp_path / "won")
