"""Kernels give the bytes of the numpy form: for every composition they know, dtype, shape and kind of number."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deltakit.delta.applied import Applied
from deltakit.errors import InputError
from deltakit.merge.engine import program
from deltakit.merge.engine.fused import Fused, kernel_of
from deltakit.merge.engine.program import NoKernel
from deltakit.merge.plan.plan import plan_merge
from deltakit.merge.sources.finite import Watched
from deltakit.tensors import row_blocks
from support.merging import Arrays, draw, family, recipe, store, tune

SHAPES = {
    "big.weight": (37, 129),
    "cube.weight": (3, 5, 40),
    "empty.weight": (0, 3),
    "norm.weight": (63,),
    "one": (1,),
    "scalar": (),
}
METHODS: list[tuple[str, dict[str, Any]]] = [
    ("linear", {}),
    ("linear", {"normalize": False}),
    ("task_arithmetic", {"scale": 0.7}),
    ("dare_linear", {"density": 0.3}),
    ("dare_linear", {"density": 0.3, "scale": -1.5}),
    ("ties", {"density": 0.4, "scale": 0.9}),
    ("dare_ties", {"density": 0.6, "trim_density": 0.5}),
    ("ties", {"density": 0.4, "scope": "tensor"}),
    ("dare_ties", {"density": 0.6, "trim_density": 0.5, "scope": "tensor"}),
    ("breadcrumbs", {"density": 0.3, "gamma": 0.05}),
    ("breadcrumbs_ties", {"density": 0.3, "gamma": 0.0}),
    ("della", {"density": 0.4, "epsilon": 0.3}),
    ("della_linear", {"density": 0.4, "epsilon": 0.3}),
    ("slerp", {"t": 0.3}),
]


@pytest.fixture(autouse=True)
def every_size_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "WORTH", 0)


def models(folder: Path, dtype: str, count: int, shapes: Any = SHAPES) -> tuple[str, list[dict[str, Any]]]:
    base = draw(0, dtype, shapes)
    stored = [store(folder / f"m{i}", tune(base, 10 + i, dtype), dtype) for i in range(count)]
    return store(folder / "base", base, dtype), [
        {"model": m, "name": f"m{i}", "weight": 1.0 if count == 1 else 0.3 + 0.4 * i} for i, m in enumerate(stored)
    ]


def prepared(method: str, base: str | None, items: list[Any], **more: Any) -> Fused:
    if method == "slerp":
        base, items = None, [{k: v for k, v in item.items() if k != "weight"} for item in items[:2]]
    found = plan_merge(recipe(method, base, items, **more)).tensors
    found = found.source if isinstance(found, Watched) else found
    assert isinstance(found, Fused)
    return found


def check(made: Fused, kernels: set[str] | None = None) -> None:
    """All bytes, and those of a few ranges, are the numpy form's; and kernels made them."""
    for name, spec in made.specs.items():
        assert bytes(made.buffer(name)) == bytes(made.plain.buffer(name)), name
        for lo, hi in row_blocks(spec, 3000):
            assert bytes(made.buffer(name, lo, hi)) == bytes(made.plain.buffer(name, lo, hi)), (name, lo)
        assert kernels is None or (made.kernel(name) is not None) == (name in kernels), name


@pytest.mark.parametrize(("method", "more"), METHODS)
@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
@pytest.mark.parametrize("count", [2, 3])
def test_the_bytes_are_those_of_the_numpy_form(
    tmp_path: Path, method: str, more: dict[str, Any], dtype: str, count: int
) -> None:
    base, items = models(tmp_path, dtype, count)
    made = prepared(method, base, items, **more)
    ranked = method.startswith(("breadcrumbs", "della"))  # a vector is one row, whatever range of it is wanted
    check(made, {"big.weight", "cube.weight", "empty.weight"} if ranked else set(SHAPES))
    assert all(bytes(made.buffer(n)) != bytes(made.applied.base.buffer(n)) for n in ("big.weight", "norm.weight"))


@pytest.mark.parametrize("dtype", ["float16", "float32", "bfloat16"])
@pytest.mark.parametrize("method", ["task_arithmetic", "dare_ties"])
def test_a_result_of_another_dtype_is_rounded_once(tmp_path: Path, method: str, dtype: str) -> None:
    base, items = models(tmp_path, "BF16", 2)
    more = {"density": 0.5} if method == "dare_ties" else {}
    check(prepared(method, base, items, dtype=dtype, **more), set(SHAPES))


def test_one_model_behind_a_drop(tmp_path: Path) -> None:
    base, items = models(tmp_path, "BF16", 1)
    check(prepared("dare_linear", base, items, density=0.5), set(SHAPES))


def odd(arrays: Arrays, seed: int) -> Arrays:
    """Sprinkled with what is not finite, tiny, huge, or a negative zero."""
    rng = np.random.default_rng(seed)
    strange = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-40, -1e-45, 3e38, 0.0], np.float32)
    made = {}
    for name, values in arrays.items():
        flat = values.ravel().copy()
        hit = rng.random(flat.size) < 0.2
        flat[hit] = rng.choice(strange, int(hit.sum()))
        made[name] = flat.reshape(values.shape)
    return made


@pytest.mark.parametrize(("method", "more"), METHODS[:5])
@pytest.mark.parametrize("dtype", ["BF16", "F32"])
def test_strange_numbers_come_out_alike(tmp_path: Path, method: str, more: dict[str, Any], dtype: str) -> None:
    plain = draw(0, dtype, SHAPES)
    paths = [store(tmp_path / f"m{i}", odd(tune(plain, i, dtype), i), dtype) for i in range(3)]
    items = [{"model": p, "name": f"n{i}", "weight": 0.5 + i} for i, p in enumerate(paths)]
    base = store(tmp_path / "base", odd(plain, 9), dtype)
    made = plan_merge(recipe(method, base, items, allow_nonfinite=True, allow_unrelated=True, **more)).tensors
    kind, size, infinite = ("<u2", 0x7FFF, 0x7F80) if dtype == "BF16" else ("<u4", 0x7FFFFFFF, 0x7F800000)
    for name in made.specs:
        ours, theirs = (np.frombuffer(m.buffer(name), kind) for m in (made, made.plain))
        nan = ours & size > infinite  # which of its payloads a NaN has is the processor's choice
        np.testing.assert_array_equal(nan, theirs & size > infinite)
        np.testing.assert_array_equal(ours[~nan], theirs[~nan])


def test_an_election_refuses_what_is_not_finite(tmp_path: Path) -> None:
    base = draw(0, "F32", SHAPES)
    tuned = tune(base, 1)
    tuned["norm.weight"][5] = np.inf
    items = [
        {"model": store(tmp_path / "a", tuned), "name": "a"},
        {"model": store(tmp_path / "b", tune(base, 2)), "name": "b"},
    ]
    made = plan_merge(recipe("ties", store(tmp_path / "base", base), items, density=0.5)).tensors
    with pytest.raises(InputError, match=r"norm\.weight.*not finite"):
        made.buffer("big.weight")


def test_what_no_kernel_knows_is_left_to_the_numpy_form(tmp_path: Path) -> None:
    base, paths = family(tmp_path)
    made = plan_merge(recipe("task_arithmetic", base, paths[:1])).tensors  # a lone model: its bytes as they lie
    check(made, set())
    with pytest.raises(NoKernel):
        kernel_of(made.applied.base, "head.weight", made.applied.delta.entries["head.weight"])


def test_small_models_load_no_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "WORTH", 1 << 22)
    base, paths = family(tmp_path)
    made = plan_merge(recipe("task_arithmetic", base, paths)).tensors
    check(made, set())
    assert made.order == Applied(made.applied.base, made.applied.delta).order


def test_a_merge_by_kernels_imports_no_torch(tmp_path: Path) -> None:
    base, paths = family(tmp_path)
    code = (
        "import sys; from deltakit.merge.engine import program; program.WORTH = 0; from deltakit_cli.main import cli; "
        f"cli(['merge', '--base', {base!r}, '--model', 'a={paths[0]}', '--model', 'b={paths[1]}', '--method',"
        f" 'dare_ties', '--density', '0.5', '-o', {str(tmp_path / 'out')!r}], standalone_mode=False); "
        "assert 'deltakit.merge.kernels.combine' in sys.modules; sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
