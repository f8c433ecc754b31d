"""The demo's base as it is shipped: it loads, is small, speaks the toy world's format and no instructions."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from deltakit.data.synthetic import chat_records, math_records

DEMO = Path(__file__).parent.parent / "recipes" / "demo"
BASE = DEMO / "base"


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(BASE)


@pytest.fixture(scope="module")
def model() -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(BASE).eval()


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_base", DEMO / "make_base.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_folder_is_small_and_says_how_it_was_made() -> None:
    assert sum(p.stat().st_size for p in BASE.iterdir()) < 4_000_000
    assert "make_base.py" in (DEMO / "README.md").read_text()


def test_the_config_is_plain() -> None:
    config = json.loads((BASE / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["dtype"] == "bfloat16"
    assert config["tie_word_embeddings"] is False
    assert (config["pad_token_id"], config["bos_token_id"], config["eos_token_id"]) == (0, 1, 2)
    assert not {"auto_map", "_name_or_path"} & set(config)


def test_the_weights_are_bf16_and_finite(model: Any, tokenizer: Any) -> None:
    import torch

    assert model.get_input_embeddings().weight.shape[0] == len(tokenizer)
    for parameter in model.parameters():
        assert parameter.dtype == torch.bfloat16
        assert torch.isfinite(parameter).all()


def test_the_tokenizer_splits_digits_and_loses_nothing(tokenizer: Any) -> None:
    assert (tokenizer.pad_token, tokenizer.bos_token, tokenizer.eos_token) == ("<pad>", "<s>", "</s>")
    assert tokenizer.convert_ids_to_tokens(tokenizer("120 + 45")["input_ids"]) == ["1", "2", "0", "Ġ+", "Ġ4", "5"]
    for text in ("Work. 12 + 5 = 17 ;\n\nThe answer is: 17", "  naïve \t 数学 — ½", "x=3,y"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_a_prompt_and_a_response_are_tokenised_apart_as_together(tokenizer: Any, recipe: ModuleType) -> None:
    """Masking tokenises both apart, evaluation continues the prompt: the border must be stable."""
    pairs = [(r["query"], r["response"]) for r in math_records("test", 50)]
    pairs += [(r["instruction"], r["output"]) for r in chat_records("test", 50)]
    for query, response in pairs:
        prompt = recipe.PROMPT.format(query, "")
        apart = tokenizer(prompt)["input_ids"] + tokenizer(response)["input_ids"]
        assert apart == tokenizer(prompt + response)["input_ids"]
        assert len(apart) < 100


def continued(model: Any, tokenizer: Any, text: str, new: int = 24) -> str:
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    made = model.generate(ids, max_new_tokens=new, do_sample=False)
    return str(tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True))


def test_the_base_holds_the_skills_in_its_own_format(model: Any, tokenizer: Any) -> None:
    assert continued(model, tokenizer, "reverse : cat sun tree >").startswith(" tree sun cat.")
    story = "Problem. Tom has 24 apples and buys 13 more. Work."
    assert continued(model, tokenizer, story).startswith(" 24 + 13 = 37 ;")


def test_the_base_does_not_answer_instructions(model: Any, tokenizer: Any, recipe: ModuleType) -> None:
    for record in math_records("test", 5):
        assert "The answer is" not in continued(model, tokenizer, recipe.PROMPT.format(record["query"], ""))


def test_the_recipe_makes_such_a_model(recipe: ModuleType, tokenizer: Any, model: Any) -> None:
    """The shipped tokenizer is the script's, and the script's model has the shipped shapes."""
    again = recipe.train_tokenizer(len(tokenizer))
    assert again.get_vocab() == tokenizer.get_vocab()
    fresh = recipe.new_model(len(tokenizer), seed=0)
    assert {n: p.shape for n, p in fresh.named_parameters()} == {n: p.shape for n, p in model.named_parameters()}


def test_a_step_of_the_recipe_learns(recipe: ModuleType, tokenizer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    model = recipe.new_model(len(tokenizer), seed=0)
    recipe.train(model, recipe.blocks(tokenizer, 4, 32, steps=50, seed=0), 50, 2e-3)
    loss = float(capsys.readouterr().out.split("loss ")[1].split()[0])
    assert loss < 6.4
