"""Extract and apply over whole folders: bit for bit, in every dtype, also for pairs that are no fine-tunes."""

from __future__ import annotations

import json

import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.delta.file.container import open_delta
from deltakit.delta.file.extract import extract, plan_extract
from deltakit.delta.file.restore import restore
from deltakit.errors import InputError, MismatchError, NoEffectError
from support.models import tiny_llama
from support.tensors import whole


def test_extract_then_apply_is_the_fine_tune(tiny_pair, tmp_path):
    base, tuned = map(str, tiny_pair)
    extract(base, tuned, tmp_path / "d")
    made = restore(base, str(tmp_path / "d"), tmp_path / "out")
    assert whole(open_checkpoint(tmp_path / "out")) == whole(open_checkpoint(tuned))
    assert made.exact is True


def test_also_for_a_pair_that_is_no_fine_tune(dtype, tmp_path):
    base, other = (str(tiny_llama(tmp_path / n, seed=s, dtype=dtype)) for n, s in (("a", 1), ("b", 77)))
    extract(base, other, tmp_path / "d")
    restore(base, str(tmp_path / "d"), tmp_path / "out")
    assert whole(open_checkpoint(tmp_path / "out")) == whole(open_checkpoint(other))


def test_also_across_dtypes(tmp_path):
    base = str(tiny_llama(tmp_path / "a", seed=1, dtype="F32"))
    tuned = str(tiny_llama(tmp_path / "b", seed=2, dtype="BF16"))
    extract(base, tuned, tmp_path / "d")
    restore(base, str(tmp_path / "d"), tmp_path / "out")
    assert whole(open_checkpoint(tmp_path / "out")) == whole(open_checkpoint(tuned))


def test_a_grown_vocabulary_keeps_its_rows_its_config_and_its_name(tiny_base, tiny_grown, tmp_path):
    extract(str(tiny_base), str(tiny_grown), tmp_path / "d", name="grown")
    delta = open_delta(tmp_path / "d")
    assert delta.lineage.key == "grown"
    assert delta.entries["model.embed_tokens.weight"].added is not None
    restore(str(tiny_base), str(tmp_path / "d"), tmp_path / "out")
    assert whole(open_checkpoint(tmp_path / "out")) == whole(open_checkpoint(tiny_grown))
    rows = open_checkpoint(tiny_grown).specs["model.embed_tokens.weight"].rows
    assert json.loads((tmp_path / "out" / "config.json").read_text())["vocab_size"] == rows


def test_equal_models_have_no_delta(tiny_base, tmp_path):
    with pytest.raises(NoEffectError):
        extract(str(tiny_base), str(tiny_base), tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_a_pair_of_other_shapes_is_refused_whole(tiny_base, tmp_path):
    wide = tiny_llama(tmp_path / "wide", seed=1, width=64)
    with pytest.raises(MismatchError) as wrong:
        extract(str(tiny_base), str(wide), tmp_path / "d")
    assert len(wrong.value.details) > 10
    assert not list(tmp_path.glob("d*"))


def test_the_plan_costs_nothing_and_refuses_what_the_run_would(tiny_pair, tmp_path):
    base, tuned = map(str, tiny_pair)
    plan = plan_extract(base, tuned, tmp_path / "d")
    assert plan["base"].startswith("sha256:")
    assert not list(tmp_path.iterdir())
    (tmp_path / "d").write_text("x")
    with pytest.raises(InputError):
        plan_extract(base, tuned, tmp_path / "d")


def test_training_leaves_its_rank_in_the_delta(tiny_pair, tmp_path):
    import shutil

    base, tuned = tiny_pair
    shutil.copytree(tuned, tmp_path / "tuned")
    (tmp_path / "tuned" / "deltakit_training.json").write_text(json.dumps({"method": "lora", "rank": 8, "steps": 3}))
    extract(str(base), str(tmp_path / "tuned"), tmp_path / "d")
    assert open_delta(tmp_path / "d").lineage.note == {"training": {"method": "lora", "rank": 8}}
