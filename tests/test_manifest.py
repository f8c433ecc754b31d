"""The manifest: the same work gives the same bytes, wherever and whenever it is done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltakit.errors import CheckpointError
from deltakit.manifest import (
    MANIFEST_NAME,
    SCHEMA_VERSION,
    canonical_json,
    describe_input,
    digest,
    make_manifest,
    portable,
    pretty_json,
    read_manifest,
    versions,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_digests_depend_on_the_value_only(value: object) -> None:
    again = json.loads(canonical_json(value))
    assert digest(again) == digest(value)
    assert json.loads(pretty_json(value)) == again


def test_key_order_does_not_matter_and_values_do() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert digest(b"abc") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest(float("nan"))


def test_the_parts() -> None:
    made = make_manifest("merge", inputs=[describe_input("org/base", "sha256:1", role="base")],
                         recipe={"method": "ties", "density": 0.2}, seed=42, notes=["repaired"])  # fmt: skip
    assert made["schema_version"] == SCHEMA_VERSION
    assert made["inputs"] == [{"name": "org/base", "fingerprint": "sha256:1", "role": "base"}]
    assert (made["recipe"], made["seed"], made["notes"]) == ({"method": "ties", "density": 0.2}, 42, ["repaired"])
    assert made["versions"]["numpy"]
    assert set(make_manifest("x")) == {"schema_version", "action", "inputs", "versions"}
    assert all(versions().values())


def test_the_same_work_in_another_folder_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for folder in (tmp_path / "one", tmp_path / "a b" / "two"):
        (folder / "base").mkdir(parents=True)
        monkeypatch.chdir(folder)
        for named in (str(folder / "base"), "base", "./base", "../" + folder.name + "/base"):
            recipe = {"base": str(folder / "base") if " " not in str(folder) else "/x/y/base", "n": 1}
            made.append(pretty_json(make_manifest("x", inputs=[describe_input(named, "f")], recipe=recipe)))
    assert len(set(made)) == 1
    assert str(tmp_path).encode() not in made[0]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("/home/me/models/llama", "llama"),
        ("/home/me/models/llama/", "llama"),
        ("~/models/llama", "llama"),
        ("C:\\models\\llama", "llama"),
        ("/m/base + 0.6*/m/math + 0.4*/m/chat", "base + 0.6*math + 0.4*chat"),
        ("org/name", "org/name"),
        ("org/name + 0.5*other/name", "org/name + 0.5*other/name"),
        ("relative/path/x", "relative/path/x"),
        ("./x/y", "./x/y"),
        ("../x/y", "../x/y"),
        ("/no_think", "/no_think"),
        ("a / b / c", "a / b / c"),
        ("https://host/a/b", "https://host/a/b"),
        ("drop(density=0.2)", "drop(density=0.2)"),
    ],
)
def test_local_paths_are_cut_and_nothing_else(text: str, kept: str) -> None:
    assert portable({"k": [text]}) == {"k": [kept]}


def test_folders_with_spaces_are_cut_wherever_the_recipe_names_them(tmp_path: Path) -> None:
    base, math = tmp_path / "home of sandra" / "base", tmp_path / "home of sandra" / "math"
    for folder in (base, math):
        folder.mkdir(parents=True)
    recipe = {"base": str(base), "models": [{"model": f"{base} + 0.5*{math}"}]}
    made = make_manifest("merge", recipe=recipe, notes=[f"{math}: 3 tensors are read as BF16, over {base}"])
    assert made["recipe"] == {"base": "base", "models": [{"model": "base + 0.5*math"}]}
    assert made["notes"] == ["math: 3 tensors are read as BF16, over base"]


def test_portable_kinds() -> None:
    assert portable({1: (Path("/a/b"), Path("c/d"), 2.5, None, True)}) == {"1": ["b", "c/d", 2.5, None, True]}
    assert digest(portable("\udcff"))


def test_reading(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) is None
    path = tmp_path / MANIFEST_NAME
    path.write_bytes(pretty_json(make_manifest("x")))
    assert read_manifest(tmp_path) == json.loads(path.read_text())
    for bad, said in (
        ("{", "not JSON"),
        ("[]", "schema_version None"),
        ('{"schema_version": 99}', "schema_version 99"),
    ):
        path.write_text(bad)
        with pytest.raises(CheckpointError, match=said):
            read_manifest(tmp_path)
