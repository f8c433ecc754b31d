"""A config becomes a lazy merge; stages are read range by range and written nowhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from deltakit.delta.open import open_model
from deltakit.errors import RecipeError
from deltakit.merge.mergekit.planning import config_models, plan_config
from deltakit.merge.sources.allowances import Allowances
from deltakit.merge.write import merge, plan_output
from support.merging import Arrays, draw, store, tune, values
from support.tensors import whole

SHAPES = {f"model.layers.{i}.up.weight": (6, 5) for i in range(4)} | {"model.norm.weight": (5,)}


@pytest.fixture
def arrays(tmp_path: Path) -> dict[str, Arrays]:
    base = draw(0, "F32", SHAPES)
    made = {"base": base, "a": tune(base, 1), "b": tune(base, 2)}
    for name, model in made.items():
        store(tmp_path / name, model)
        (tmp_path / name / "config.json").write_text('{"model_type": "toy", "num_hidden_layers": 4}')
    return made


def config(folder: Path, text: str) -> Path:
    path = folder / "config.yml"
    path.write_text(text.replace("@", f"{folder}/"))
    return path


def test_stages_are_lazy_models_of_later_ones(tmp_path: Path, arrays: dict[str, Arrays]) -> None:
    text = (
        "name: first\nmerge_method: task_arithmetic\nbase_model: @base\n"
        "models:\n- {model: @a, parameters: {weight: 0.5}}\n---\n"
        "merge_method: task_arithmetic\nbase_model: @base\n"
        "models:\n- {model: first, parameters: {weight: 0.5}}\n- {model: @b, parameters: {weight: 1.0}}\n"
    )
    path = config(tmp_path, text)
    plan = plan_config(path, dialect="paper")
    assert config_models(path) == tuple(f"{tmp_path}/{n}" for n in ("base", "a", "b"))
    found = values(plan.tensors)
    for name, base in arrays["base"].items():
        want = base + 0.25 * (arrays["a"][name] - base) + (arrays["b"][name] - base)
        assert np.allclose(found[name], want, atol=1e-5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "base", "config.yml"]
    assert {c.source for c in plan.checkpoints} == set(config_models(path))


def test_slices_set_the_number_of_layers(tmp_path: Path, arrays: dict[str, Arrays]) -> None:
    text = (
        "merge_method: linear\nparameters: {weight: 1}\nslices:\n"
        "- sources: [{model: @a, layer_range: [0, 3]}]\n- sources: [{model: @b, layer_range: [2, 4]}]\n"
    )
    plan = plan_config(config(tmp_path, text), dialect="paper", allow=Allowances())
    assert plan.sidecar.config["num_hidden_layers"] == 5
    found = values(plan.tensors)
    assert np.array_equal(found["model.layers.3.up.weight"], arrays["b"]["model.layers.2.up.weight"])
    assert np.array_equal(found["model.norm.weight"], arrays["b"]["model.norm.weight"])


def test_the_config_lies_beside_the_result_without_local_paths(tmp_path: Path, arrays: dict[str, Arrays]) -> None:
    text = "merge_method: linear\nparameters: {weight: 1}\nmodels:\n- model: @a\n- model: @b\n"
    plan = plan_config(config(tmp_path, text), dialect="paper")
    kept = yaml.safe_load(plan.sidecar.files["mergekit_config.yml"])
    assert kept["merge_method"] == "linear"
    assert [m["model"] for m in kept["models"]] == ["a", "b"]


@pytest.mark.parametrize(
    "more",
    [
        "dtype: float16\n",
        "dtype: float32\nout_dtype: bfloat16\n",
        "parameters: {lambda: [0.5, 1.0]}\n",
        "parameters: {lambda: [{filter: norm, value: 0.5}, {value: 1.0}]}\ndtype: bfloat16\n",
    ],
)
def test_a_delta_file_stands_over_the_base_on_disk(more: str, tmp_path: Path, arrays: dict[str, Arrays]) -> None:
    """Casts are part of the difference, and parameters by layers and filters make one file, so anybody can apply it."""
    text = f"merge_method: task_arithmetic\nbase_model: @base\n{more}"
    text += "models: [{model: @a, parameters: {weight: 0.5}}]\n"
    planned = plan_config(config(tmp_path, text))
    assert plan_output(planned, tmp_path / "x.delta")["kind"] == "delta"
    assert merge(planned, tmp_path / "x.delta").kind == "delta"
    assert whole(open_model(f"{tmp_path}/base + {tmp_path}/x.delta").tensors) == whole(planned.tensors)


def test_no_delta_file_stands_over_a_stage(tmp_path: Path, arrays: dict[str, Arrays]) -> None:
    text = (
        "name: first\nmerge_method: linear\nparameters: {weight: 1}\nmodels: [{model: @a}, {model: @base}]\n---\n"
        "merge_method: task_arithmetic\nbase_model: first\nmodels: [{model: @b, parameters: {weight: 0.5}}]\n"
    )
    with pytest.raises(RecipeError, match="needs a base, a model on disk"):
        merge(plan_config(config(tmp_path, text)), tmp_path / "x.delta")
