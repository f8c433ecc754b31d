"""Which chat template the result has; the built-in ones render to their formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deltakit.checkpoint.sidecar import Sidecar
from deltakit.errors import RecipeError, UnsafeError
from deltakit.merge.sources.source import Source
from deltakit.merge.tokens import align
from deltakit.merge.tokens.template import BUILT_IN, choose_template, template_of, with_template
from support.tensors import memory
from support.vocabularies import added, bpe, by_label, model

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi "},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "1+1?"},
]
RENDERED = {
    "alpaca": "Be brief.\n\n### Instruction:\nHi\n\n### Response:\nHello.</s>\n\n"
    "### Instruction:\n1+1?\n\n### Response:\n",
    "chatml": "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi <|im_end|>\n"
    "<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n",
    "exaone": "[|system|]Be brief.[|endofturn|]\n[|user|]Hi \n[|assistant|]Hello.[|endofturn|]\n[|user|]1+1?\n"
    "[|assistant|]",
    "llama3": "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\n1+1?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "mistral": "<s>[INST] Be brief.\n\nHi  [/INST] Hello.</s>[INST] 1+1? [/INST]",
}


def source(label: str, template: str | None, config: Any = None) -> Source:
    files = {} if template is None else {"chat_template.jinja": template.encode()}
    if config is not None:
        files["tokenizer_config.json"] = json.dumps(config).encode()
    return Source(label, label, memory({}), Sidecar(files), "")


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_built_in_templates_render_their_formats(name: str) -> None:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(BUILT_IN[name])
    known = {"bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True}
    assert made.render(messages=TALK, **known) == RENDERED[name]
    assert made.render(messages=TALK[1:2])  # without special tokens and a system's turn


def test_where_models_keep_their_templates() -> None:
    assert template_of(source("m", "A", {"chat_template": "B"}).sidecar) == "A"
    assert template_of(source("m", None, {"chat_template": "B"}).sidecar) == "B"
    several = [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]
    assert template_of(source("m", None, {"chat_template": several}).sidecar) == "D"
    assert template_of(source("m", None, {}).sidecar) is None


def test_auto_is_the_most_common_and_of_equals_the_first() -> None:
    models = by_label(source("a", "A"), source("b", "B"), source("c", "B"), source("d", None))
    assert choose_template(models, "auto") == "B"
    assert choose_template({k: models[k] for k in "ab"}, "auto") == "A"
    assert choose_template({"d": models["d"]}, "auto") is None
    assert choose_template(models, "a") == "A"
    assert choose_template(models, "chatml") == BUILT_IN["chatml"]
    own = "{{ messages[0].content }} and so on"
    assert choose_template(models, own) == own


@pytest.mark.parametrize("wanted", ["chatmll", "nope", "{{ short }}", "a long text without any braces", "d"])
def test_what_is_no_template(wanted: str) -> None:
    with pytest.raises(RecipeError, match="chat_template"):
        choose_template(by_label(source("a", "A"), source("d", None)), wanted)


def test_an_unsafe_template_is_never_copied(tmp_path: Path) -> None:
    bad = "{{ messages.__class__.__mro__ }}"
    for wanted in ("auto", "m", bad):
        with pytest.raises(UnsafeError):
            choose_template(by_label(source("m", bad)), wanted)
    models = by_label(model(tmp_path / "base", bpe(), template=bad))
    with pytest.raises(UnsafeError, match="base: its chat template"):
        align(models, None, donor="base")
    assert align(models, None, donor="base", chat_template="chatml").files["chat_template.jinja"]


def test_a_template_replaces_all_others() -> None:
    config = json.dumps({"chat_template": "old", "bos_token": "é"}).encode()
    files = {"tokenizer_config.json": config, "chat_template.json": b"{}", "tokenizer.json": b"x"}
    made = with_template(files, "new")
    assert sorted(made) == ["tokenizer.json", "tokenizer_config.json"]
    assert json.loads(made["tokenizer_config.json"]) == {"chat_template": "new", "bos_token": "é"}
    assert with_template({"chat_template.jinja": b"old"}, "new") == {"chat_template.jinja": b"new"}
    assert with_template({}, "new") == {"chat_template.jinja": b"new"}


def test_the_same_template_changes_no_byte() -> None:
    files = {"tokenizer_config.json": b'{"chat_template":"same"}', "chat_template.json": b"{}"}
    assert with_template(files, "same") == files


def test_without_any_template_it_is_said(tmp_path: Path) -> None:
    models = by_label(model(tmp_path / "base", bpe()))
    made = align(models, None, donor="base", chat_template="auto")
    assert made.notes == ("chat_template: none of the models has one",)


def test_markers_that_are_no_tokens_are_said(tmp_path: Path) -> None:
    bare = align(by_label(model(tmp_path / "base", bpe())), None, donor="base", chat_template="chatml")
    said = "chat_template: <|im_start|>, <|im_end|> is no token of the result, and is split like any text"
    assert bare.notes == (said,)
    text = added(bpe(), ["<|im_start|>", "<|im_end|>"])
    assert align(by_label(model(tmp_path / "m", text)), None, donor="m", chat_template="chatml").notes == ()
