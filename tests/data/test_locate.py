from __future__ import annotations

from pathlib import Path

import pytest

from deltakit.data import locate
from deltakit.data.locate import VARIABLE, data_root, find_data
from deltakit.errors import InputError


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout and a current folder with nothing beside them."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(locate, "_checkout", lambda: tmp_path / "a" / "checkout")
    (tmp_path / "b" / "work").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "b" / "work")
    return tmp_path


def data_in(folder: Path) -> Path:
    (folder / "gsm8k").mkdir(parents=True)
    (folder / "gsm8k" / "test.jsonl").write_text("{}\n")
    return folder


def test_nothing_anywhere(elsewhere: Path) -> None:
    assert data_root() is None
    assert find_data("gsm8k/test.jsonl") is None


def test_the_variable_comes_first(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data_in(elsewhere / "a" / "shared" / "data")
    monkeypatch.setenv(VARIABLE, str(data_in(elsewhere / "mine")))
    assert data_root() == elsewhere / "mine"
    assert find_data("gsm8k/test.jsonl") == elsewhere / "mine" / "gsm8k" / "test.jsonl"


def test_then_beside_the_checkout_then_beside_the_current_folder(elsewhere: Path) -> None:
    beside_here = data_in(elsewhere / "b" / "shared" / "data")
    assert data_root() == beside_here
    beside_checkout = data_in(elsewhere / "a" / "shared" / "data")
    assert data_root() == beside_checkout


def test_a_wrong_variable_is_an_error_and_not_a_fallback(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data_in(elsewhere / "a" / "shared" / "data")
    monkeypatch.setenv(VARIABLE, str(elsewhere / "gone"))
    with pytest.raises(InputError, match="no folder"):
        data_root()


def test_a_root_can_be_given(elsewhere: Path) -> None:
    root = data_in(elsewhere / "given")
    assert find_data("gsm8k/test.jsonl", root) == root / "gsm8k" / "test.jsonl"
    assert find_data("gsm8k/train.jsonl", root) is None


def test_the_real_checkout_is_the_folder_with_src() -> None:
    assert (locate._checkout() / "src" / "deltakit").is_dir()
