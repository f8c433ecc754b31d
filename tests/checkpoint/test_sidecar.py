"""What is carried over beside the weights, and what never is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deltakit.checkpoint.sidecar import MAX_FILE, Sidecar, read_sidecar
from deltakit.errors import CheckpointError, UnsafeError

WANTED = (
    "LICENSE", "LICENSE.txt", "added_tokens.json", "chat_template.jinja", "config.json", "generation_config.json",
    "merges.txt", "special_tokens_map.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json",
)  # fmt: skip
UNWANTED = (
    "modeling_evil.py", "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "optimizer.pt",
    "notes.ipynb", "README.md", "training_args.bin", ".config.json", "config.json.bak", "deltakit.json", "tokenizer.py",
)  # fmt: skip


def test_known_files_are_read_and_no_others(tmp_path: Path) -> None:
    for name in (*WANTED, *UNWANTED):
        (tmp_path / name).write_text("{}")
    (tmp_path / "LICENSES").mkdir()
    assert tuple(read_sidecar(tmp_path).files) == WANTED


def test_a_link_to_a_secret_is_refused(tmp_path: Path) -> None:
    (tmp_path / "id_rsa").write_text("secret")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "tokenizer.json").symlink_to(tmp_path / "id_rsa")
    with pytest.raises(UnsafeError):
        read_sidecar(tmp_path / "model")


def test_an_enormous_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "tokenizer.json").open("wb") as file:
        file.truncate(MAX_FILE + 1)
    with pytest.raises(CheckpointError, match="over"):
        read_sidecar(tmp_path)


POISON = {
    "auto_map": {"AutoModel": "modeling_evil.Evil"},
    "_attn_implementation": "evil/kernel",
    "_attn_implementation_internal": "evil/kernel",
    "attn_implementation": "evil/kernel",
    "custom_pipelines": {"x": {}},
    "trust_remote_code": True,
    "_name_or_path": "/home/somebody/model",
    "_something_new": 1,
}


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer_config.json"])
def test_keys_that_load_code_are_removed_and_told(name: str) -> None:
    clean = {"model_type": "llama", "vocab_size": 3, "_from_model_config": True, "label2id": {"_": 0}}
    poisoned = {**POISON, **clean, "text_config": {**POISON, "hidden_size": 4}, "list": [{**POISON}]}
    sidecar, removed = Sidecar({name: json.dumps(poisoned).encode()}).cleaned()
    assert json.loads(sidecar.files[name]) == {**clean, "text_config": {"hidden_size": 4}, "list": [{}]}
    for key in POISON:
        assert f"{name}: {key}" in removed
        assert f"{name}: text_config.{key}" in removed
    assert len(removed) == 3 * len(POISON)
    assert sidecar.cleaned() == (sidecar, ())


def test_clean_files_keep_their_very_bytes() -> None:
    files = {"config.json": b'{ "b":1,\n"a":2}', "tokenizer.json": b'{"_weird": 1}', "LICENSE": b"\xff"}
    assert Sidecar(files).cleaned() == (Sidecar(dict(sorted(files.items()))), ())


def test_the_config() -> None:
    assert Sidecar().config is None
    assert Sidecar({"config.json": b'{"a": Infinity}'}).config == {"a": float("inf")}
    for bad in (b"[]", b"{", b'{"a": 1, "a": 2}'):
        with pytest.raises(CheckpointError, match=r"config\.json"):
            _ = Sidecar({"config.json": bad}).config


def test_changing_the_config() -> None:
    sidecar = Sidecar({"config.json": b'{"vocab_size": 1, "b": {"c": 2}}', "z": b"1"})
    changed = sidecar.with_config(vocab_size=2, dtype="bfloat16")
    assert changed.config == {"vocab_size": 2, "b": {"c": 2}, "dtype": "bfloat16"}
    assert sidecar.config == {"vocab_size": 1, "b": {"c": 2}}
    assert changed.files["z"] == b"1"
    assert sidecar.with_config(vocab_size=1) is sidecar
    assert sidecar.with_config(vocab_size=None).config == {"vocab_size": None, "b": {"c": 2}}
    assert Sidecar().with_config(vocab_size=2) == Sidecar()


def test_adding_files_keeps_them_sorted() -> None:
    assert list(Sidecar({"b": b"1"}).with_files({"c": b"2", "a": b"3"}).files) == ["a", "b", "c"]
