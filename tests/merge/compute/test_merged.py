"""The merged delta: expressions where linear, one rounding, integers, no effect."""

import numpy as np
import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.delta.file.container import solid
from deltakit.delta.file.extract import extract
from deltakit.delta.open import open_model
from deltakit.errors import MismatchError
from deltakit.merge.compute.merged import changes
from deltakit.sparsify.pipeline import parse_pipeline
from deltakit.sparsify.write import sparsify_to
from deltakit.tensors import from_float32
from support.merging import draw, family, plan, store, tune, values
from support.models import save
from support.tensors import bits, tensor, whole


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_task_arithmetic_is_the_expression_bit_for_bit(dtype, tmp_path):
    base, (a, b, c) = family(tmp_path, 3, dtype)
    made = plan(
        "task_arithmetic", base, [{"model": m, "weight": w, "name": m[-2:]} for m, w in [(c, 1), (a, 0.6), (b, -0.4)]]
    )
    assert made.made.coefficients is not None
    assert whole(made.tensors) == whole(open_model(f"{base} + 0.6*{a} - 0.4*{b} + {c}").tensors)


def test_dare_linear_is_the_sum_of_sparsified_deltas_bit_for_bit(tmp_path):
    base, models = family(tmp_path, 2)
    for i, model in enumerate(models):
        sparsify_to(base, model, "drop(density=0.3)", tmp_path / f"{i}.delta", seed=5)
    made = plan("dare_linear", base, [{"model": m, "weight": 0.5} for m in models], density=0.3, seed=5)
    parts = " + ".join(f"0.5*{tmp_path}/{i}.delta" for i in range(2))
    assert whole(made.tensors) == whole(open_model(f"{base} + {parts}").tensors)


def test_delta_files_merge_as_the_models_they_came_from(tmp_path):
    base, models = family(tmp_path, 2, "BF16")
    files = [str(tmp_path / f"{i}.delta") for i in range(2)]
    for model, file in zip(models, files, strict=True):
        extract(base, model, file)
    for method, more in [("ties", {}), ("task_arithmetic", {}), ("dare_ties", {"density": 0.5})]:
        made = [whole(plan(method, base, inputs, **more).tensors) for inputs in (models, files)]
        assert made[0] == made[1]


def test_another_dtype_is_rounded_to_once(tmp_path):
    base, models = family(tmp_path, 2)
    full = values(plan("task_arithmetic", base, models, scale=0.3).tensors)
    for dtype in ("BF16", "F16"):
        made = plan("task_arithmetic", base, models, scale=0.3, dtype=dtype).tensors
        for name in full:
            assert bytes(made.buffer(name)) == from_float32(full[name], dtype).tobytes()


def test_a_wider_dtype_keeps_what_the_sum_gives(tmp_path):
    base, models = family(tmp_path, 2, "BF16")
    made = values(plan("task_arithmetic", base, models, scale=0.3, dtype="float32").tensors)
    exact, narrow = values(open_checkpoint(base)), values(plan("task_arithmetic", base, models, scale=0.3).tensors)
    want = exact["head.weight"] + np.float32(0.3) * sum(
        values(open_checkpoint(m))["head.weight"] - exact["head.weight"] for m in models
    )
    assert np.allclose(made["head.weight"], want, rtol=1e-6, atol=1e-7)
    assert not np.array_equal(made["head.weight"], narrow["head.weight"])


def test_a_wider_dtype_widens_added_rows_and_lone_parts_too(tmp_path):
    base = draw(0, "BF16")
    grown = tune(base, 1, "BF16")
    grown["head.weight"] = np.concatenate([grown["head.weight"], np.full((1, 7), 1.5, np.float32)])
    where = store(tmp_path / "base", base, "BF16")
    items = [
        {"model": store(tmp_path / "g", grown, "BF16"), "name": "g"},
        {"model": store(tmp_path / "s", tune(base, 2, "BF16"), "BF16"), "weight": 0.5},
    ]
    made = values(plan("task_arithmetic", where, items, vocabulary="g", dtype="float32").tensors)
    assert np.all(made["head.weight"][9] == 1.5)


def test_integers_are_copied_if_all_agree(tmp_path):
    def model(name, ids, value):
        save(tmp_path / name / "model.safetensors", {"ids": bits(ids, "I64"), "w": tensor([value], "F32")})
        return str(tmp_path / name)

    base, one, two = model("base", [1, 2], 0.0), model("a", [1, 2], 1.0), model("b", [1, 2], 3.0)
    other = model("c", [1, 3], 4.0)
    made = plan("ties", base, [one, two], density=1.0).tensors
    assert bytes(made.buffer("ids")) == bits([1, 2], "I64")[1]
    with pytest.raises(MismatchError, match="2 integer tensor") as caught:
        plan("ties", base, [one, other, model("d", [3, 2], 5.0)], density=1.0)
    lines = [f"tensor 'ids' is I64 and differs between the base and {tmp_path / n}" for n in "cd"]
    assert sorted(caught.value.details) == lines
    assert "passthrough" in caught.value.remedy
    assert whole(plan("task_arithmetic", base, [other]).tensors) == whole(open_checkpoint(other))


def test_changes_finds_the_one_element_that_differs(tmp_path):
    base = draw(0)
    other = {n: a.copy() for n, a in base.items()}
    other["up.weight"][6, 8, 1] += 1
    where = [store(tmp_path / n, a) for n, a in [("base", base), ("same", base), ("other", other)]]
    assert changes(plan("ties", where[0], [where[2]], density=1.0).merged)
    assert not changes(plan("ties", where[0], [where[1]]).merged)
    assert not changes(plan("task_arithmetic", where[0], [where[2]], scale=0.0).merged)
    opposed = [{"model": where[2], "weight": w, "name": n} for w, n in [(1.0, "p"), (-1.0, "n")]]
    assert not changes(plan("task_arithmetic", where[0], opposed).merged)


def test_the_terms_of_a_merge_can_be_stored(tmp_path):
    base, models = family(tmp_path, 2)
    delta = plan("ties", base, models).merged.delta
    for name, spec in delta.specs.items():
        for part in delta.entries[name].parts:
            assert np.array_equal(solid(part.term).rows(0, spec.rows), delta.rows(name, 0, spec.rows))


def test_a_pipeline_by_hand_is_the_method(tmp_path):
    base, models = family(tmp_path, 1)
    sparsify_to(base, models[0], "drop(density=0.5) | trim(density=0.2)", tmp_path / "x.delta", seed=3)
    assert len(parse_pipeline("drop(density=0.5) | trim(density=0.2)")) == 2
    made = plan("dare_ties", base, models, density=0.5, seed=3)
    assert whole(made.tensors) == whole(open_model(f"{base} + {tmp_path}/x.delta").tensors)
