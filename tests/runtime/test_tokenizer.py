import tempfile
from pathlib import Path

import pytest

from deltakit.checkpoint.sidecar import Sidecar
from deltakit.errors import InputError
from deltakit.runtime.tokenizer import load_tokenizer
from support.running import sidecar


def test_it_encodes_and_decodes_and_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tokenizer = load_tokenizer(sidecar())
    text = "The answer is: 7 — ß"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert (tokenizer.eos_token_id, tokenizer.bos_token_id) == (2, 1)
    assert list(tmp_path.iterdir()) == []
    assert tokenizer.name_or_path == ""


def test_the_chat_template_comes_along() -> None:
    files = {**sidecar().files, "chat_template.jinja": b"{% for m in messages %}[{{ m.content }}]{% endfor %}"}
    tokenizer = load_tokenizer(Sidecar(files))
    assert tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False) == "[hi]"


def test_a_model_without_tokenizer_says_which_files_would_do() -> None:
    with pytest.raises(InputError, match=r"no tokenizer[\s\S]*tokenizer\.json"):
        load_tokenizer(Sidecar({"config.json": b"{}"}))


def test_a_broken_tokenizer_is_an_input_error() -> None:
    files = {
        **sidecar().files,
        "tokenizer_config.json": b'{"tokenizer_class": "NoSuchTokenizer"}',
        "tokenizer.json": b"{",
    }
    with pytest.raises(InputError, match="cannot read the tokenizer"):
        load_tokenizer(Sidecar(files))
