"""NaN and infinite weights: whatever step meets one, the inputs' are named and counted; or they are allowed."""

import json

import numpy as np
import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.errors import InputError, NonFiniteError
from deltakit.merge.sources.finite import counted, nonfinite
from support.cli import call
from support.merging import draw, family, store, tune
from support.tensors import memory, tensor


@pytest.fixture
def world(tmp_path):
    """A base, a model with two NaN and an infinity in two tensors, and a sound one."""
    bad = tune(draw(0), 1)
    bad["head.weight"][2, 3] = bad["head.weight"][4, 1] = np.nan
    bad["norm.weight"][5] = -np.inf
    _, (good, _) = family(tmp_path)
    return str(tmp_path / "base"), store(tmp_path / "bad", bad), good


LINES = (
    "head.weight: 2 NaN and 0 infinite of 63 values (F32)",
    "norm.weight: 0 NaN and 1 infinite of 63 values (F32)",
)


METHODS = {
    "linear": (), "task_arithmetic": (), "ties": ("--density", "0.5"), "slerp": ("--t", "0.5"), "model_stock": (),
    "tsv_m": (), "dare_linear": ("--density", "0.05"), "dare_ties": ("--density", "0.05"), "nearswap": ("--t", "0.1"),
    "breadcrumbs": (), "della": ("--density", "0.2"),
}  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_names_and_counts_whatever_step_meets_or_drops_them(world, method, tmp_path):
    base, bad, good = world
    head = ("--base", base) if method not in ("linear", "slerp") else ("--model", good)
    more = METHODS[method]
    tail = () if method in ("slerp", "nearswap") else ("--model", good if "--base" in head else base)
    done = call("merge", *head, "--model", bad, *tail, "--method", method, *more, "-o", tmp_path / "out")
    assert done.code == 3, done.err
    for line in LINES:
        assert f"{bad}: {line}" in done.err
    assert "allow_nonfinite" in done.err
    assert not (tmp_path / "out").exists()


def test_allowed_they_are_written_and_the_manifest_counts_them(world, tmp_path):
    base, bad, good = world
    argv = ("merge", "--base", base, "--model", bad, "--model", good, "-o", tmp_path / "out", "--allow-nonfinite")
    done = call(*argv)
    assert done.code == 0, done.err
    manifest = json.loads((tmp_path / "out" / "deltakit.json").read_text())
    assert manifest["output"]["nonfinite"] == {"head.weight": {"nan": 2, "inf": 0}, "norm.weight": {"nan": 0, "inf": 1}}
    assert manifest["recipe"]["allow_nonfinite"] is True


def test_an_overflow_of_finite_inputs_is_not_blamed_on_them(tmp_path):
    base = draw(0)
    tuned = {**base, "one.weight": np.array([70000.0], np.float32)}
    argv = ("merge", "--base", store(tmp_path / "base", base), "--model", store(tmp_path / "tuned", tuned))
    done = call(*argv, "--dtype", "float16", "-o", tmp_path / "out")
    assert done.code == 3
    assert "one.weight: 0 NaN and 1 infinite of 1 values (F16)" in done.err
    assert "of the inputs" not in done.err


def test_every_value_of_a_model_is_looked_at():
    values = np.zeros((3, 5), np.float32)
    values[2, 4], values[0, 0] = np.nan, np.inf
    source = memory({"a": tensor(values), "b": tensor(np.ones(3)), "c": tensor(np.zeros((0, 2)))})
    assert list(nonfinite(source)) == ["a: 1 NaN and 1 infinite of 15 values (BF16)"]


def test_other_errors_pass(world):
    checkpoint = open_checkpoint(world[1])
    with pytest.raises(InputError, match="^other$"), counted([checkpoint]):
        raise InputError("other")
    with pytest.raises(NonFiniteError, match="of the inputs") as caught, counted([checkpoint]):
        raise NonFiniteError("tensor 'x'")
    assert caught.value.details[-1] == "tensor 'x'"
    assert caught.value.exit_code == 3
