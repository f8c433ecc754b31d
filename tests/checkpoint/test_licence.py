"""Licences are read from cards and files without trusting either; differences are said."""

from __future__ import annotations

from pathlib import Path

import pytest

from deltakit.checkpoint.licence import conflicts, licence_of, result_licence
from deltakit.checkpoint.sidecar import Sidecar


def card(folder: Path, text: str) -> Path:
    (folder / "README.md").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("---\nlicense: Apache-2.0\ntags: [x]\n---\n# Model", "apache-2.0"),
        ("\ufeff---\nlicense: mit\n---\n", "mit"),
        ("# Model\nlicense: mit\n", None),
        ("---\nlicense: [a, b]\n---\n", None),
        ("---\nlicense: 'a b; rm'\n---\n", None),
        ("---\nlicense: &a mit\n---\n", None),
        ("---\nlicense: {{{\n---\n", None),
    ],
)
def test_the_head_of_a_card(text: str, name: str | None, tmp_path: Path) -> None:
    assert licence_of(card(tmp_path, text), Sidecar()) == name


def test_a_licence_file_where_the_card_is_silent(tmp_path: Path) -> None:
    texts = {
        b"   Apache License\n   Version 2.0, January 2004": "apache-2.0",
        b"LLAMA 3.1 COMMUNITY LICENSE": "llama3.1",
    }
    for raw, name in {**texts, b"My own terms": "other"}.items():
        assert licence_of(tmp_path, Sidecar({"LICENSE": raw})) == name
    assert licence_of(tmp_path, Sidecar()) is None
    assert licence_of(tmp_path / "model.safetensors", Sidecar()) is None


def test_a_card_outside_the_folder_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("---\nlicense: mit\n---\n")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "README.md").symlink_to(tmp_path / "secret.md")
    assert licence_of(tmp_path / "model", Sidecar()) is None


def test_what_the_result_may_name() -> None:
    assert result_licence({"a": "mit", "b": "mit"}) == "mit"
    assert result_licence({"a": "mit", "b": "apache-2.0"}) == "other"
    assert result_licence({"a": "mit", "b": None}) == "other"
    assert result_licence({"a": None}) is None


def test_one_open_licence_is_no_matter() -> None:
    assert conflicts({"a": "mit", "b": "mit"}) == ()
    assert conflicts({"a": None, "b": None}) == ()


def test_what_a_person_should_look_at() -> None:
    assert conflicts({"a": "mit", "b": None}) == ("licences differ (a: mit, b: unknown)",)
    found = " ".join(conflicts({"a": "cc-by-nc-4.0", "b": "gpl-3.0", "c": "llama3.1"}))
    assert "a is cc-by-nc-4.0: no commercial use" in found
    assert "gpl-3.0 demands its own terms for the result; cc-by-nc-4.0 and llama3.1 has others" in found
    assert "begins with Llama" in found
    assert "no commercial use" in conflicts({"a": "cc-by-nc-4.0", "b": "cc-by-nc-4.0"})[0]
