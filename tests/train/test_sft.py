"""Whole runs on a tiny model: what comes out, what resumes, what is refused."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from deltakit.checkpoint import open_checkpoint
from deltakit.delta.open import open_as_delta
from deltakit.errors import InputError, RecipeError, VerificationError
from deltakit.tensors import to_float32
from deltakit.train.base import peft_silenced
from deltakit.train.sft import preview, run_sft
from deltakit.train.work import newest, work_folder
from support.training import recipe


def weights(path):
    opened = open_checkpoint(path)
    return {name: bytes(opened.buffer(name)) for name in opened.specs}


@pytest.fixture(scope="module")
def trained(small, data, tmp_path_factory):
    """(result, folder) of one full run with held-out records."""
    out = tmp_path_factory.mktemp("trained") / "out"
    return run_sft(recipe(small, data, holdout=0.2, log={"holdout_steps": 4}), out), out


def test_the_output_is_a_model_of_the_bases_names_and_dtypes(small, trained):
    _, out = trained
    base, tuned = open_checkpoint(small), open_checkpoint(out)
    assert dict(base.specs) == dict(tuned.specs)
    assert weights(small) != weights(out)
    assert tuned.sidecar.config == {**base.sidecar.config, "max_position_embeddings": 512}
    assert not work_folder(out).exists()
    names = {p.name for p in out.iterdir()}
    assert names == {"config.json", "deltakit.json", "deltakit_training.json", "loss.jsonl", "loss.png",
                     "model.safetensors", "tokenizer.json", "tokenizer_config.json"}  # fmt: skip


def test_transformers_loads_the_output(trained):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(trained[1], use_safetensors=True)
    tokenizer = AutoTokenizer.from_pretrained(trained[1])
    assert model.config.max_position_embeddings == tokenizer.model_max_length == 512


def test_losses_fall_and_stand_in_the_files(trained):
    result, out = trained
    rows = [json.loads(line) for line in (out / "loss.jsonl").read_text().splitlines()]
    losses = [r["loss"] for r in rows if "loss" in r]
    assert [r["step"] for r in rows if "loss" in r] == [2, 4, 6]
    assert [r["step"] for r in rows if "holdout_loss" in r] == [4, 6]
    assert losses[-1] < losses[0]
    told = json.loads((out / "deltakit_training.json").read_text())
    assert told["loss"] == result["loss"] == losses[-1]
    assert told["holdout_loss"] == result["holdout_loss"] == rows[-1]["holdout_loss"]
    assert told["data"][0]["records"] == 16
    assert "/" not in told["recipe"]["base"]


def test_the_same_recipe_gives_the_same_bytes(small, data, trained, tmp_path):
    run_sft(recipe(small, data, holdout=0.2, log={"holdout_steps": 4}), tmp_path / "again")
    assert weights(tmp_path / "again") == weights(trained[1])


def test_it_learns(small, data, tmp_path):
    result = run_sft(recipe(small, data, train={"max_steps": 30, "lr": 1e-2, "batch_size": 4}), tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out" / "loss.jsonl").read_text().splitlines()]
    assert result["loss"] < 0.7 * rows[0]["loss"]


def test_a_new_padding_token_grows_the_vocabulary_by_one(padless, data, tmp_path):
    run_sft(recipe(padless, data), tmp_path / "out")
    opened = open_checkpoint(tmp_path / "out")
    assert opened.specs["model.embed_tokens.weight"].shape[0] == 89
    assert (opened.sidecar.config["vocab_size"], opened.sidecar.config["pad_token_id"]) == (89, 88)
    settings = json.loads(opened.sidecar.files["tokenizer_config.json"])
    assert (settings["pad_token"], settings["tokenizer_class"]) == ("[PAD]", "PreTrainedTokenizerFast")
    delta = open_as_delta(str(tmp_path / "out"), open_checkpoint(padless))
    assert delta.entries["model.embed_tokens.weight"].shared == 88


def test_another_dtype_may_be_written(small, data, tmp_path):
    run_sft(recipe(small, data, save={"dtype": "float32"}), tmp_path / "out")
    opened = open_checkpoint(tmp_path / "out")
    assert {s.dtype for s in opened.specs.values()} == {"F32"}
    assert opened.sidecar.config["dtype"] == "float32"


def test_a_killed_run_ends_in_the_same_bytes(small, data, trained, tmp_path, monkeypatch):
    made = recipe(small, data, holdout=0.2, log={"holdout_steps": 4})
    out = tmp_path / "out"
    from deltakit.train import watch

    def killed(folder, keep):
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(watch, "retire", killed)  # dies at the first save, the seal already set
        with pytest.raises(OSError, match="killed"):
            run_sft(made, out)
    assert newest(work_folder(out)).name == "checkpoint-2"
    half = work_folder(out) / "checkpoint-4"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    assert run_sft(made, out)["resumed_at"] == 2
    assert weights(out) == weights(trained[1])
    assert (out / "loss.jsonl").read_text() == (trained[1] / "loss.jsonl").read_text()


def test_a_run_that_ended_before_its_output_only_publishes(small, data, tmp_path, monkeypatch):
    from deltakit.train import sft

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(sft, "publish_model", full)
        with pytest.raises(OSError, match="No space"):
            run_sft(recipe(small, data), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    result = run_sft(recipe(small, data), tmp_path / "out")
    assert (result["resumed_at"], result["milliseconds_per_step"]) == (6, None)
    assert (tmp_path / "out" / "model.safetensors").exists()


def test_another_recipe_does_not_take_over_an_unfinished_run(small, data, tmp_path):
    out = tmp_path / "out"
    run_sft(recipe(small, data, save={"checkpoints": True}), out)
    assert newest(work_folder(out)) is not None
    other = recipe(small, data, train={"seed": 7})
    with pytest.raises(InputError, match="another recipe"):
        run_sft(other, out, overwrite=True)
    assert run_sft(other, out, overwrite=True, resume=False)["resumed_at"] == 0


def test_an_output_in_the_way_is_kept(small, data, trained):
    before = weights(trained[1])
    with pytest.raises(InputError, match="not empty"):
        run_sft(recipe(small, data), trained[1])
    assert weights(trained[1]) == before
    assert not work_folder(trained[1]).exists()


def test_a_loss_that_is_no_number_stops_with_its_step(small, data, tmp_path):
    with pytest.raises(VerificationError, match="not finite at step"):
        run_sft(recipe(small, data, train={"lr": 1e30, "max_grad_norm": 1e30}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_fp16_needs_a_gpu(small, data, tmp_path):
    import torch

    if torch.accelerator.is_available():
        pytest.skip("there is an accelerator here")
    with pytest.raises(RecipeError, match="fp16 needs a GPU"):
        run_sft(recipe(small, data, train={"precision": "fp16"}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_preview_writes_nothing(small, data, tmp_path):
    facts = preview(recipe(small, data), tmp_path / "out")
    assert facts["steps"] == 6
    assert list(tmp_path.iterdir()) == []


LORA = {"r": 2, "target_modules": ["q_proj", "v_proj"], "dropout": 0.1}


def test_an_adapter_is_pefts_and_a_delta(small, data, tmp_path):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    made = recipe(small, data, lora=LORA)
    run_sft(made, tmp_path / "adapter")
    run_sft(made.model_copy(update={"lora": made.lora.model_copy(update={"output": "merged"})}), tmp_path / "merged")
    base = open_checkpoint(small)
    delta = open_as_delta(str(tmp_path / "adapter"), base)
    plain = AutoModelForCausalLM.from_pretrained(small, dtype="float32")
    with peft_silenced():
        merged = PeftModel.from_pretrained(plain, tmp_path / "adapter").merge_and_unload().state_dict()
    written = open_checkpoint(tmp_path / "merged")
    for name, spec in base.specs.items():
        old = to_float32(base.buffer(name), spec.dtype)
        theirs = merged[name].numpy().ravel()
        assert np.allclose(old + delta.rows(name, 0, spec.rows).ravel(), theirs, atol=1e-6)
        assert np.allclose(to_float32(written.buffer(name), spec.dtype), theirs, rtol=2**-8, atol=1e-6)
        assert ("q_proj" in name or "v_proj" in name) == bool(np.abs(theirs - old).max() > 0)


def test_an_adapter_names_its_base_and_resumes_with_dropout(small, data, tmp_path, monkeypatch):
    from deltakit.train import watch

    made = recipe(small, data, lora=LORA)
    run_sft(made, tmp_path / "straight")
    with monkeypatch.context() as patch:
        once = iter([lambda: os.kill(os.getpid(), signal.SIGINT)])
        patch.setattr(watch, "retire", lambda folder, keep: next(once, lambda: None)())
        with pytest.raises(KeyboardInterrupt, match="stopped at step 3 of 6"):
            run_sft(made, tmp_path / "broken")
    assert run_sft(made, tmp_path / "broken")["resumed_at"] == 3
    files = [(tmp_path / n / "adapter_model.safetensors").read_bytes() for n in ("straight", "broken")]
    assert files[0] == files[1]
    config = json.loads((tmp_path / "straight" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(small)


@pytest.mark.slow
def test_several_processes_write_one_output(small, data, tmp_path):
    made = recipe(small, data, holdout=0.2)
    (tmp_path / "recipe.json").write_text(made.model_dump_json())
    script = tmp_path / "run.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfrom deltakit.train.recipe import SftRecipe\n"
        "from deltakit.train.sft import run_sft\n"
        "made = SftRecipe.model_validate_json(Path(sys.argv[1]).read_text())\n"
        "print(run_sft(made, Path(sys.argv[2]))['processes'])\n"
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    ran = subprocess.run(
        [*launch, script, tmp_path / "recipe.json", tmp_path / "out"], capture_output=True, text=True, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    told = json.loads((tmp_path / "out" / "deltakit_training.json").read_text())
    assert told["examples_per_step"] == 4
    steps = [json.loads(line)["step"] for line in (tmp_path / "out" / "loss.jsonl").read_text().splitlines()]
    assert steps == [2, 4, 6, 6]
    assert not work_folder(tmp_path / "out").exists()
