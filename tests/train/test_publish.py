"""Outputs: the base's names, dtypes and files, whatever training used."""

import json

import pytest
from safetensors.torch import load_file, save_file

from deltakit.checkpoint import open_checkpoint
from deltakit.errors import InputError
from deltakit.train.base import open_base
from deltakit.train.publish import tokenizer_files
from deltakit.train.sft import run_sft
from support.models import tiny_llama
from support.training import recipe


def test_tied_heads_stay_tied(data, tmp_path):
    base = tiny_llama(tmp_path / "base", width=16, layers=1, tied=True, dtype="F16")
    run_sft(recipe(base, data), tmp_path / "out")
    assert dict(open_checkpoint(base).specs) == dict(open_checkpoint(tmp_path / "out").specs)


def test_a_stored_twin_of_a_tied_head_is_stored_again(data, tmp_path):
    base = tiny_llama(tmp_path / "base", width=16, layers=1)
    stored = load_file(base / "model.safetensors")
    twin = {"lm_head.weight": stored["model.embed_tokens.weight"].clone()}
    save_file({**stored, **twin}, base / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True}))
    run_sft(recipe(base, data), tmp_path / "out")
    opened = open_checkpoint(tmp_path / "out")
    assert bytes(opened.buffer("lm_head.weight")) == bytes(opened.buffer("model.embed_tokens.weight"))


def test_the_tokenizer_is_the_bases_where_nothing_changed(small, data):
    base = open_base(recipe(small, data, tokens={"context": None, "max_length": 200}))
    assert tokenizer_files(base)["tokenizer.json"] == (small / "tokenizer.json").read_bytes()
    assert tokenizer_files(base)["tokenizer_config.json"] == (small / "tokenizer_config.json").read_bytes()


def test_an_adapter_folder_holds_what_peft_reads(small, data, tmp_path):
    out = tmp_path / "out"
    run_sft(recipe(small, data, lora={"r": 2}, save={"dtype": "bfloat16"}), out)
    assert {str(t.dtype) for t in load_file(out / "adapter_model.safetensors").values()} == {"torch.bfloat16"}
    config = json.loads((out / "adapter_config.json").read_text())
    assert (config["r"], config["base_model_name_or_path"], config["revision"]) == (2, str(small), None)
    assert json.loads((out / "deltakit.json").read_text())["action"] == "sft"
    with pytest.raises(InputError, match="not empty"):
        run_sft(recipe(small, data, lora={"r": 2}), out)
