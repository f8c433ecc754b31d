"""Opening what a recipe names: order, keys, stand-ins, and everything that is wrong before a weight is read."""

import json

import numpy as np
import pytest

from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import open_checkpoint
from deltakit.delta.file.extract import extract
from deltakit.errors import CheckpointError, InputError, MismatchError, RecipeError
from deltakit.merge.sources.inputs import open_inputs
from support.merging import draw, family, plan, recipe, store, tune
from support.models import save
from support.tensors import bits, tensor, whole


def opened(*args, **more):
    return open_inputs(recipe(*args, **more))


def test_members_are_sorted_by_identity(tmp_path):
    base, models = family(tmp_path, 3)
    one = opened("task_arithmetic", base, models)
    two = opened("task_arithmetic", base, models[::-1])
    assert [m.source for m in one.members] == [m.source for m in two.members]
    assert [m.key for m in one.members] == sorted(fingerprint(open_checkpoint(m)) for m in models)


def test_a_name_keys_the_masks(tmp_path):
    base, models = family(tmp_path, 2)
    made = opened("dare_linear", base, [{"model": models[0], "name": "math"}, models[1]], density=0.5)
    assert {m.label: m.key for m in made.members}["math"] == "math"


def test_the_checkpoints_that_are_read_are_known(tmp_path):
    base, models = family(tmp_path, 2)
    assert {c.source for c in opened("ties", base, models).checkpoints} == {base, *models}


def test_delta_files_and_expressions_are_models_too(tmp_path):
    base, models = family(tmp_path, 2)
    extract(base, models[0], tmp_path / "a.delta")
    made = opened("task_arithmetic", base, [str(tmp_path / "a.delta"), f"{base} + 0.5*{models[1]}"])
    stored = next(m for m in made.members if m.source.endswith(".delta"))
    assert stored.key == fingerprint(open_checkpoint(models[0]))


def test_without_a_base_a_model_stands_in_whatever_the_order(tmp_path):
    _, models = family(tmp_path, 3)
    first, second = opened("linear", None, models), opened("linear", None, models[::-1])
    assert first.stand_in == second.stand_in in models
    assert first.fingerprint == second.fingerprint
    assert len(first.members) == 3


def test_slerp_starts_from_the_first_model(tmp_path):
    _, models = family(tmp_path, 2)
    for order in (models, models[::-1]):
        made = opened("slerp", None, order, t=0.5)
        assert (made.stand_in, [m.source for m in made.members]) == (order[0], order[1:])


@pytest.mark.parametrize(
    ("method", "with_base", "count", "more", "said"),
    [
        ("task_arithmetic", True, 0, {}, "at least one model"),
        ("task_arithmetic", False, 2, {}, "needs a base"),
        ("ties", False, 2, {}, "needs a base"),
        ("linear", False, 1, {}, "at least two models"),
        ("linear", True, 2, {"scale": 0.5}, "lambda has no meaning"),
        ("slerp", True, 2, {"t": 0.5}, "takes two models, or a base and one"),
        ("slerp", False, 3, {"t": 0.5}, "found 3 and no base"),
        ("slerp", False, 2, {}, "needs t"),
        ("dare_linear", True, 2, {}, "needs density"),
        ("nope", True, 2, {}, "unknown method"),
    ],
)
def test_recipes_that_cannot_be_merged(method, with_base, count, more, said, tmp_path):
    base, models = family(tmp_path, max(count, 1))
    with pytest.raises(RecipeError, match=said):
        opened(method, base if with_base else None, models[:count], **more)


def test_names_are_unique_and_base_is_taken(tmp_path):
    base, models = family(tmp_path, 2)
    with pytest.raises(RecipeError, match="two models are named 'a'"):
        opened("ties", base, [{"model": m, "name": "a"} for m in models])
    with pytest.raises(RecipeError, match="can be named 'base'"):
        opened("ties", base, [{"model": models[0], "name": "base"}])


def test_the_same_model_twice_needs_names(tmp_path):
    base, models = family(tmp_path, 1)
    with pytest.raises(RecipeError, match="are the same"):
        opened("dare_linear", base, [models[0], models[0]], density=0.5)
    items = [{"model": models[0], "name": n} for n in "ab"]
    assert len(opened("dare_linear", base, items, density=0.5).members) == 2
    assert len(opened("linear", None, items).members) == 2


def test_weights_are_checked(tmp_path):
    base, models = family(tmp_path, 2)
    with pytest.raises(RecipeError, match="above 0"):
        opened("ties", base, [models[0], {"model": models[1], "weight": 0}])


def test_mismatches_of_all_models_come_in_one_error(tmp_path):
    base, _ = family(tmp_path, 1)
    wide = store(tmp_path / "wide", {**draw(0), "head.weight": np.zeros((9, 8))})
    flat = store(tmp_path / "flat", {**draw(0), "up.weight": np.zeros((7, 18)), "norm.weight": np.zeros((63, 1))})
    with pytest.raises(MismatchError) as caught:
        opened("task_arithmetic", base, [wide, {"model": flat, "name": "flat"}])
    text = str(caught.value)
    assert f"{wide}: head.weight" in text
    assert "flat: up.weight" in text
    assert "flat: norm.weight" in text


def test_quantised_models_are_merged_as_the_floats_they_stand_for(tmp_path):
    """An FP8 fine-tune over its plain base: as if its dequantised values had been stored."""
    import torch

    base, tuned = draw(0, "BF16"), tune(draw(0, "BF16"), 1, "BF16")
    codes = torch.from_numpy(tuned["head.weight"] / 0.5).to(torch.float8_e4m3fn)
    plain = {**tuned, "head.weight": (codes.to(torch.float32) * 0.5).numpy()}
    root, expected = store(tmp_path / "base", base, "BF16"), store(tmp_path / "plain", plain, "BF16")
    made = {n: tensor(v) for n, v in tuned.items()}
    made["head.weight"] = bits(codes.view(torch.uint8).numpy(), "F8_E4M3")
    made["head.weight_scale"] = tensor(np.float32(0.5), "F32")
    save(tmp_path / "fp8" / "model.safetensors", made)
    config = {"model_type": "toy", "torch_dtype": "bfloat16", "quantization_config": {"quant_method": "fp8"}}
    (tmp_path / "fp8" / "config.json").write_text(json.dumps(config))
    fp8 = str(tmp_path / "fp8")
    for method, more in [("task_arithmetic", {}), ("ties", {"density": 0.5})]:
        found, wanted = (plan(method, root, [m], scale=0.5, **more) for m in (fp8, expected))
        assert whole(found.tensors) == whole(wanted.tensors)
        assert found.notes == (f"{fp8}: 1 quantised tensors are read as BF16",)
    swapped = plan("task_arithmetic", fp8, [expected, root])
    assert "quantization_config" not in swapped.sidecar.config
    (tmp_path / "fp8" / "config.json").write_text('{"quantization_config": {"quant_method": "gptq"}}')
    with pytest.raises(CheckpointError, match="quantised .gptq"):
        opened("task_arithmetic", root, [fp8])


def test_missing_files_are_input_errors(tmp_path):
    base, models = family(tmp_path, 1)
    with pytest.raises(InputError):
        opened("task_arithmetic", str(tmp_path / "none"), models)
    with pytest.raises(InputError):
        opened("task_arithmetic", base, [str(tmp_path / "none")])


def test_a_delta_of_another_base_is_refused(tmp_path):
    base, models = family(tmp_path, 2)
    extract(base, models[0], tmp_path / "a.delta")
    with pytest.raises(MismatchError, match="another base"):
        opened("task_arithmetic", models[1], [str(tmp_path / "a.delta")])
