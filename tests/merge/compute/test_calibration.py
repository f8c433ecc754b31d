"""Laws of the methods that look at text, on models that run; and what is refused before anything runs."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deltakit.checkpoint.open import open_checkpoint
from deltakit.errors import InputError, RecipeError, ResourceError
from deltakit.merge import METHODS, POSTS
from deltakit.merge.plan.native import plan_recipe
from deltakit.merge.write import merge, plan_output
from deltakit.recipe.parameters import make_checked
from support.calibration import TEXT, runnable
from support.merging import plan, recipe, values
from support.method_samples import KEEP_ALL, NEEDED
from support.tensors import whole


def method(name: str) -> Any:
    return make_checked(METHODS, name, NEEDED.get(name, {}))


NAMES = [n for n in METHODS.names() if method(n).calibrated]


def named(models: list[str]) -> list[dict[str, Any]]:
    return [{"model": m, "name": f"name{i}", "weight": 0.5 + i} for i, m in enumerate(models)]


def made(name: str, base: str, models: list[Any], **more: Any) -> dict[str, bytes]:
    return whole(plan(name, base, models, calibration=TEXT, **{**NEEDED.get(name, {}), **more}).tensors)


def test_some_methods_look_at_text() -> None:
    assert NAMES == ["darex", "regmean", "regmean_pp"]
    assert "aim" in POSTS.names()


@pytest.mark.parametrize("dtype", ["BF16", "F32"])
@pytest.mark.parametrize("name", NAMES)
def test_zero_deltas_give_the_base_bit_for_bit(name: str, dtype: str, tmp_path: Path) -> None:
    base, _ = runnable(tmp_path, 0, dtype)
    for copy in ("a", "b"):
        shutil.copytree(base, tmp_path / copy)
    found = made(name, base, named([str(tmp_path / "a"), str(tmp_path / "b")]))
    assert found == whole(open_checkpoint(base))


@pytest.mark.parametrize("dtype", ["BF16", "F32"])
@pytest.mark.parametrize("name", NAMES)
def test_one_model_at_weight_and_density_one_is_that_model_bit_for_bit(name: str, dtype: str, tmp_path: Path) -> None:
    base, (model,) = runnable(tmp_path, 1, dtype, size=3.0)
    assert made(name, base, [model], **KEEP_ALL.get(name, {})) == whole(open_checkpoint(model))


@pytest.mark.parametrize("name", [n for n in NAMES if method(n).symmetric])
def test_the_order_of_models_does_not_matter(name: str, tmp_path: Path) -> None:
    base, models = runnable(tmp_path, 2)
    found = [made(name, base, list(order)) for order in itertools.permutations(named(models))]
    assert found[0] == found[1]


@pytest.mark.parametrize("name", NAMES)
def test_ranges_and_threads_do_not_matter(name: str, tmp_path: Path) -> None:
    base, models = runnable(tmp_path, 2, "BF16")
    before = torch.get_num_threads()
    found = made(name, base, named(models))
    try:
        torch.set_num_threads(2)
        tensors = plan(name, base, named(models), calibration=TEXT, **NEEDED.get(name, {})).tensors
        for tensor in reversed(list(tensors.specs)):
            rows = [bytes(tensors.buffer(tensor, i, i + 1)) for i in range(tensors.specs[tensor].rows)]
            assert b"".join(rows) == found[tensor]
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", NAMES)
def test_models_with_rows_that_the_base_lacks(name: str, tmp_path: Path) -> None:
    from support.models import tiny_tuned

    base, (model,) = runnable(tmp_path, 1)
    grown = str(tiny_tuned(Path(base), tmp_path / "grown", 5, extra_rows=3))
    found = plan(name, base, named([model, grown]), vocabulary="name1", calibration=TEXT, **NEEDED.get(name, {}))
    added = values(open_checkpoint(grown))["model.embed_tokens.weight"][-3:]
    assert np.array_equal(values(found.tensors)["model.embed_tokens.weight"][-3:], added)


def test_the_text_is_said_and_recorded(tmp_path: Path) -> None:
    base, models = runnable(tmp_path)
    shown = plan_output(recipe("regmean", base, models), tmp_path / "out")
    assert any("built-in neutral text, up to 128 samples of at most 512 tokens" in n for n in shown["notes"])
    assert any("of temporary disk" in n and "of memory" in n for n in shown["notes"])
    text = tmp_path / "mine.txt"
    text.write_text("one two three " * 30)
    given = {**TEXT, "text": str(text)}
    merge(recipe("regmean", base, models, calibration=given, post="aim"), tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "deltakit.json").read_text())
    (entry,) = [i for i in manifest["inputs"] if i.get("role") == "text"]
    assert entry["name"] == "mine.txt"
    assert entry["fingerprint"].startswith("sha256:")
    assert manifest["recipe"]["calibration"]["text"] == "mine.txt"
    assert str(tmp_path) not in json.dumps(manifest)


def test_default_samples_are_no_longer_than_the_model_can_hold(tmp_path: Path) -> None:
    base, models = runnable(tmp_path)
    calibrator = plan("regmean", base, models).calibrator
    assert calibrator is not None
    assert calibrator.batches().length == 256
    assert calibrator.batches() is calibrator.batches()


@pytest.mark.parametrize(
    ("method", "more", "what"),
    [
        ("ties", {"calibration": TEXT, "density": 0.5}, "looks at no text"),
        ("regmean", {"calibration": {"samples": 0}}, "samples"),
        ("regmean", {"calibration": {"sample": 3}}, "sample"),
        ("regmean", {"calibration": {"device": "abacus"}}, "device"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(method: str, more: dict[str, Any], what: str, tmp_path: Path) -> None:
    base, models = runnable(tmp_path)
    with pytest.raises(RecipeError, match=what):
        plan(method, base, models, **more)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    base, models = runnable(tmp_path)
    with pytest.raises(ResourceError, match="no CUDA device"):
        plan("regmean", base, models, calibration={**TEXT, "device": "cuda"}).measure()


def test_a_text_for_one_model_needs_a_method_that_looks_at_each(tmp_path: Path) -> None:
    base, models = runnable(tmp_path)
    items = [{"model": models[0], "text": "a.txt"}, {"model": models[1]}]
    with pytest.raises(RecipeError, match="only regmean"):
        plan("darex", base, items, density=0.5)
    with pytest.raises(RecipeError, match="looks at no text"):
        plan("linear", base, items)
    with pytest.raises(InputError, match=r"no text file a\.txt"):
        plan("regmean", base, items)


def test_beside_a_vocabulary_of_its_own_such_a_method_is_refused_when_planning(tmp_path: Path) -> None:
    base, models = runnable(tmp_path)
    given = recipe("regmean", base, models, tokenizer={"source": "union"})
    with pytest.raises(RecipeError, match="method: regmean cannot stand beside tokenizer:"):
        plan_recipe(given)
    own = [{"model": models[0], "text": "a.txt"}, {"model": models[1]}]
    with pytest.raises(RecipeError, match="text cannot stand beside"):
        plan_recipe(recipe("linear", base, own, tokenizer={"source": "union"}))


@pytest.mark.parametrize(("file", "what"), [("tokenizer.json", "no tokenizer"), ("config.json", "no config.json")])
def test_a_base_that_cannot_run_is_refused_when_planning(file: str, what: str, tmp_path: Path) -> None:
    base, models = runnable(tmp_path)
    for folder in (base, *models):
        (Path(folder) / file).unlink()
        if file == "tokenizer.json":
            (Path(folder) / "tokenizer_config.json").unlink()
    with pytest.raises(InputError, match=what):
        plan("regmean", base, models)


def test_without_transformers_the_remedy_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import deltakit.calibrate.sampling as room

    base, models = runnable(tmp_path)
    monkeypatch.setattr(room, "find_spec", lambda name: None)
    with pytest.raises(RecipeError, match="needs transformers") as caught:
        plan("regmean", base, models)
    assert "deltakit-llm[models]" in caught.value.remedy
