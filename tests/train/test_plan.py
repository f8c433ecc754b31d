"""The plan: counts, steps, order, identity; nothing written."""

import pytest

from deltakit.errors import InputError, RecipeError
from deltakit.train.plan import identity, plan_sft
from support.models import tiny_llama
from support.training import recipe


def test_facts_count_records_and_steps(small, data):
    plan = plan_sft(recipe(small, data, holdout=0.1, train={"max_steps": None, "epochs": 2.0, "accumulation": 3}))
    facts = plan.facts
    assert (facts["data"][0]["records"], facts["holdout"][0]["records"]) == (18, 2)
    assert (facts["examples_per_step"], facts["steps"], facts["epochs"]) == (6, 6, 2.0)
    assert len(plan.order()) == 36
    assert len(plan.held) == 2


def test_processes_of_a_launcher_share_the_step(small, data, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert plan_sft(recipe(small, data)).facts["examples_per_step"] == 8


def test_records_over_the_length_are_counted(small, data):
    facts = plan_sft(recipe(small, data, tokens={"max_length": 260})).facts["data"][0]
    assert facts["kept"] + facts["too_long"] == facts["records"] == 20
    assert facts["too_long"] == 5


def test_identity_is_what_decides_the_weights(small, data):
    one = identity(plan_sft(recipe(small, data)))
    assert one == identity(plan_sft(recipe(small, data, log={"steps": 1}, save={"steps": 3})))
    assert one != identity(plan_sft(recipe(small, data, train={"seed": 1})))
    assert one != identity(plan_sft(recipe(small, data, holdout=0.1)))


def test_an_unknown_prompt_is_refused(small, data):
    with pytest.raises(RecipeError, match="alpacca"):
        plan_sft(recipe(small, data, prompt="alpacca"))


def test_an_adapter_of_a_sum_is_refused(small, data, tmp_path):
    other = tiny_llama(tmp_path / "other", seed=5, width=16, layers=1)
    with pytest.raises(RecipeError, match="is a sum"):
        plan_sft(recipe(f"{small} + 0.5*{other}", data, lora={"r": 2}))


def test_a_tokenizer_beyond_the_model_is_refused(small, data, tmp_path):
    import json
    import shutil

    folder = shutil.copytree(small, tmp_path / "base")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 40}))
    with pytest.raises(InputError, match="beyond the model's 40 rows"):
        plan_sft(recipe(folder, data))
