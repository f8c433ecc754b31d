"""Exports by name. Run: pytest tests/compress/export"""

from __future__ import annotations

import pytest

from deltakit.calibrate.sampling import Sampling
from deltakit.checkpoint.open import open_checkpoint
from deltakit.compress.export.export import FORMATS, Request, export, plan_export
from deltakit.compress.export.peft_lora import LoraRequest
from deltakit.errors import InputError, MismatchError, RecipeError
from deltakit.tensors import same
from support.models import tiny_llama, tiny_tuned


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("named")
    tiny_tuned(tiny_llama(made / "base", seed=1), made / "tuned", seed=2)
    return made


def request(folder, to, out, **options):
    return Request(str(folder / "base"), str(folder / "tuned"), to, out, LoraRequest(8), **options)


@pytest.mark.parametrize("to", FORMATS)
def test_a_plan_writes_nothing_and_the_run_does_what_it_said(folder, tmp_path, to):
    plan = plan_export(request(folder, to, tmp_path / "x"))
    assert not (tmp_path / "x").exists()
    made = export(request(folder, to, tmp_path / "x"))
    stored = open_checkpoint(tmp_path / "x" if to != "peft-lora" else tmp_path / "x" / "adapter_model.safetensors")
    assert set(plan["tensors"]) == set(stored.specs)
    assert made["bytes"] <= plan["bytes"]
    with pytest.raises(InputError, match="not empty"):
        export(request(folder, to, tmp_path / "x"))


def test_hf_is_the_fine_tune(folder, tmp_path):
    export(request(folder, "hf", tmp_path / "x"))
    assert same(open_checkpoint(tmp_path / "x"), open_checkpoint(folder / "tuned"))


def test_what_an_adapter_leaves_out_is_said(folder, tmp_path):
    made = export(request(folder, "peft-lora", tmp_path / "x"))
    assert made["rank"] == 8
    assert "model.norm.weight" in made["dropped"]
    assert 0 < made["dropped"]["lm_head.weight"]["share"] < 1
    assert 0 < made["retained"] < 1


def test_an_unknown_format_is_refused(folder, tmp_path):
    with pytest.raises(RecipeError, match="unknown format 'gguf'"):
        request(folder, "gguf", tmp_path / "x")


def test_a_delta_of_another_base_is_refused(folder, tmp_path):
    from deltakit.delta.file.extract import extract

    tiny_llama(tmp_path / "other", seed=9)
    extract(str(folder / "base"), str(folder / "tuned"), tmp_path / "d.delta")
    with pytest.raises(MismatchError, match="another base"):
        export(Request(str(tmp_path / "other"), str(tmp_path / "d.delta"), "peft-lora", tmp_path / "x"))


def test_text_makes_another_adapter_and_its_hessians_can_be_kept(folder, tmp_path):
    look = {"sampling": Sampling(samples=4, length=24, batch=2), "hessians": tmp_path / "h"}
    plain = export(request(folder, "peft-lora", tmp_path / "plain"))
    seen = export(request(folder, "peft-lora", tmp_path / "seen", **look))
    assert seen["retained"] < plain["retained"]  # of the weights: the outputs are what it is best for
    again = export(request(folder, "peft-lora", tmp_path / "again", hessians=tmp_path / "h"))
    assert again["modules"] == seen["modules"]
    names = [(tmp_path / n / "adapter_model.safetensors").read_bytes() for n in ("plain", "seen", "again")]
    assert names[0] != names[1] == names[2]
