"""Models that cannot be asked, or that answer nothing, or that never end: each through the whole evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from deltakit.errors import InputError
from deltakit_eval.run import evaluate
from deltakit_eval.work import Settings
from support.running import sidecar, state, write_folder

SHORT = Settings(limit=2, max_new_tokens=4)


def mute(folder: Path, **changes: Any) -> str:
    """A model whose every logit is 0: greedy decoding always takes token 0, which is no text."""
    folder.mkdir()
    tensors = state(0, tie_word_embeddings=False, **changes)
    save_file({**tensors, "lm_head.weight": torch.zeros_like(tensors["lm_head.weight"])}, folder / "model.safetensors")
    for name, content in sidecar(tie_word_embeddings=False, **changes).files.items():
        (folder / name).write_bytes(content)
    return str(folder)


def task_of(found: dict[str, Any]) -> dict[str, Any]:
    return next(iter(found["models"][0]["tasks"].values()))


def test_a_model_that_says_nothing_scores_nothing(tmp_path: Path) -> None:
    task = task_of(evaluate([mute(tmp_path / "m", eos_token_id=0)], ["toy_math"], SHORT))
    assert [s["responses"] for s in task["samples"]] == [[""], [""]]
    assert (task["accuracy"], task["empty"], task["truncated"], task["generated_tokens"]) == (0.0, 1.0, 0.0, 0)
    assert next(m["value"] for m in task["metrics"] if m["metric"] == "answered") == 0.0


def test_a_model_that_never_ends_is_cut_and_counted(tmp_path: Path) -> None:
    task = task_of(evaluate([mute(tmp_path / "m")], ["toy_math"], SHORT))
    assert (task["accuracy"], task["truncated"], task["generated_tokens"]) == (0.0, 1.0, 2 * 4)


def test_silence_is_survived_by_every_mode(tmp_path: Path) -> None:
    model = mute(tmp_path / "m", eos_token_id=0)
    for mode in ("hints", "best_of(n=2)", "best_of(n=2, by='majority')", "step_beam(width=2)"):
        settings = Settings(limit=1, max_new_tokens=4, mode=mode, temperature=1e-6)
        assert task_of(evaluate([model], ["toy_math"], settings))["accuracy"] == 0.0


def test_a_prompt_above_the_context_is_named_before_anything_runs(tmp_path: Path) -> None:
    model = write_folder(tmp_path / "m", 0, max_position_embeddings=64)
    with pytest.raises(InputError) as caught:
        evaluate([f"small={model}"], ["toy_math"], SHORT, out=tmp_path / "results.json")
    assert "small: deltakit_toy_math: item 0: a prompt of" in caught.value.message
    assert "context of 64 (2 of 2 items do)" in caught.value.message
    assert "prompt style" in caught.value.remedy
    assert "--data" in caught.value.remedy
    with pytest.raises(InputError, match="760 after it exceed the model's context of 768") as caught:
        evaluate([str(write_folder(tmp_path / "n", 0))], ["toy_math"], Settings(limit=2, max_new_tokens=760))
    assert "--max-new-tokens" in caught.value.remedy


@pytest.mark.parametrize("missing", ["tokenizer.json", "config.json"])
def test_a_model_without_tokenizer_or_config_is_refused_by_name(tmp_path: Path, missing: str) -> None:
    model = write_folder(tmp_path / "m", 0)
    (model / missing).unlink()
    if missing == "tokenizer.json":
        (model / "tokenizer_config.json").unlink()
    with pytest.raises(InputError) as caught:
        evaluate([f"bare={model}"], ["toy_math"], SHORT)
    assert "bare" in caught.value.message
    assert missing.split(".")[0] in caught.value.message
    assert caught.value.remedy


def test_a_chat_template_that_is_missing_is_told_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no chat template") as caught:
        evaluate([str(write_folder(tmp_path / "m", 0))], ["toy_math"], Settings(limit=1, chat_template=True))
    assert caught.value.remedy


def test_a_thought_that_the_template_opens_and_nobody_closes_is_no_answer(tmp_path: Path) -> None:
    model = write_folder(tmp_path / "m", 0)
    (model / "chat_template.jinja").write_text("{% for m in messages %}[{{ m.content }}]{% endfor %}{{ '<think>\\n' }}")
    task = task_of(evaluate([str(model)], ["toy_math"], Settings(limit=2, max_new_tokens=4, chat_template=True)))
    assert [s["prompt"].endswith("]<think>\n") for s in task["samples"]] == [True, True]
    assert all(s["responses"][0].startswith("<think>\n") for s in task["samples"])
    assert [s["filters"]["marked"]["answer"] for s in task["samples"]] == [["[no answer]"]] * 2
    assert task["unclosed_thoughts"] == 1.0
