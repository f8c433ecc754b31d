"""Plans: settled from headers, shown in full, and what goes into the manifest."""

import json

import pytest

from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import open_checkpoint
from deltakit.errors import RecipeError, UnsafeError
from deltakit.merge.plan.plan import plan_merge
from support.merging import SHAPES, family, plan, recipe
from support.models import tiny_llama, tiny_tuned


def test_every_tensor_has_an_action(tmp_path):
    base, models = family(tmp_path, 2)
    actions = plan("ties", base, models).actions()
    assert list(actions) == sorted(SHAPES)
    assert actions["head.weight"] == {"action": "ties", "shape": [9, 7], "dtype": "F32", "bytes": 252}


def test_planning_reads_no_weights_but_fingerprints(tmp_path, monkeypatch):
    base, models = family(tmp_path, 2)
    made = plan("dare_ties", base, models, density=0.5)
    monkeypatch.setattr("deltakit.checkpoint.open.Checkpoint.buffer", lambda *a: pytest.fail("a weight was read"))
    made.actions()
    made.manifest()


def test_the_manifest_names_inputs_recipe_and_seed(tmp_path):
    base, models = family(tmp_path, 1)
    made = plan("dare_linear", base, [{"model": models[0], "name": "math"}], density=0.5, seed=7).manifest()
    assert made["action"] == "merge"
    assert made["seed"] == 7
    assert made["recipe"]["density"] == 0.5
    assert [i["fingerprint"] for i in made["inputs"]] == [fingerprint(open_checkpoint(p)) for p in (base, models[0])]
    assert made["inputs"][1]["key"] == "math"
    assert str(tmp_path) not in json.dumps(made)


def test_the_files_beside_are_the_bases_or_those_of_the_vocabulary(tmp_path):
    base = tiny_llama(tmp_path / "base")
    one, two = tiny_tuned(base, tmp_path / "one", 1), tiny_tuned(base, tmp_path / "two", 2, extra_rows=1)
    (one / "chat_template.jinja").write_text("{{ messages }}")
    items = [{"model": str(one), "name": "one"}, {"model": str(two), "name": "two"}]
    plain = plan("task_arithmetic", str(base), items, vocabulary="base").sidecar
    assert plain.config["vocab_size"] == 88
    assert "chat_template.jinja" not in plain.files
    assert plan("task_arithmetic", str(base), items, vocabulary="two").sidecar.config["vocab_size"] == 89
    assert "chat_template.jinja" in plan("task_arithmetic", str(base), items, vocabulary="one").sidecar.files
    assert "chat_template.jinja" in plan("task_arithmetic", str(base), items[:1]).sidecar.files


def test_the_configuration_says_the_dtype_of_the_weights(tmp_path):
    base, models = family(tmp_path, 2)
    assert plan("linear", base, models).sidecar.config["torch_dtype"] == "float32"
    assert plan("linear", base, models, dtype="bf16").sidecar.config["torch_dtype"] == "bfloat16"


@pytest.mark.parametrize("dtype", ["int8", "bfloat61"])
def test_dtypes_that_hold_no_weights(dtype, tmp_path):
    base, models = family(tmp_path, 1)
    with pytest.raises(RecipeError):
        plan_merge(recipe("linear", base, models, dtype=dtype))


def test_a_chat_template_is_looked_at_before_it_is_copied(tmp_path):
    base, models = family(tmp_path)
    (tmp_path / "base" / "chat_template.jinja").write_text("{{ messages.__class__.__mro__ }}")
    with pytest.raises(UnsafeError, match="not safe to copy"):
        plan("ties", base, models)
