"""The device form gives the kernels' bytes, step by step; torch's CPU stands in for a GPU, where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deltakit import rng
from deltakit.errors import InputError, RecipeError
from deltakit.merge.engine import device, program
from deltakit.merge.engine.device import _lanes, check_device, in_use, runs_on, used
from deltakit.merge.engine.fused import Fused
from deltakit.merge.plan.plan import plan_merge
from deltakit.merge.sources.finite import Watched
from deltakit.merge.write import merge
from support.merging import draw, recipe, store, tune
from support.tensors import whole

SHAPES = {"big.weight": (37, 129), "cube.weight": (3, 5, 40), "empty.weight": (0, 3), "norm.weight": (63,), "one": (1,)}
METHODS: list[tuple[str, dict[str, Any]]] = [
    ("linear", {}),
    ("task_arithmetic", {"scale": 0.7}),
    ("dare_linear", {"density": 0.3}),
    ("ties", {"density": 0.4, "scale": 0.9}),
    ("dare_ties", {"density": 0.6, "trim_density": 0.5}),
    ("slerp", {"t": 0.3}),
]
PLACES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]


@pytest.fixture(autouse=True)
def every_size_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "WORTH", 0)


def needs(place: str) -> None:
    if place == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")


def prepared(folder: Path, method: str, dtype: str, **more: Any) -> Fused:
    base = draw(0, dtype, SHAPES)
    items = [
        {"model": store(folder / f"m{i}", tune(base, 10 + i, dtype), dtype), "name": f"m{i}", "weight": 0.3 + 0.4 * i}
        for i in range(2)
    ]
    parent: str | None = store(folder / "base", base, dtype)
    if method == "slerp":
        parent, items = None, [{k: v for k, v in item.items() if k != "weight"} for item in items]
    found = plan_merge(recipe(method, parent, items, **more)).tensors
    found = found.source if isinstance(found, Watched) else found
    assert isinstance(found, Fused)
    return found


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
@pytest.mark.parametrize(("method", "more"), METHODS, ids=[m for m, _ in METHODS])
def test_the_bytes_are_those_of_the_kernels(
    tmp_path: Path, method: str, more: dict[str, Any], dtype: str, place: str
) -> None:
    needs(place)
    made = prepared(tmp_path, method, dtype, **more)
    for name, spec in made.specs.items():
        kernel = made.kernel(name)
        if kernel is None or not spec.numel:
            continue
        for lo, hi in ((0, spec.rows), (spec.rows // 2, spec.rows)):
            found = runs_on(kernel, place, lo, hi, spec)
            assert found is not None
            assert bytes(found) == bytes(kernel.run(name, lo, hi, spec)), name


@pytest.mark.parametrize("start", [0, 1, 6, 12345])
def test_lanes_are_those_of_the_masks(start: int) -> None:
    key = rng.key(42, "math", "model.layers.0.mlp.up_proj.weight")
    for count in (1, 2, 7, 64):
        found = _lanes(torch.empty(count), key, start).numpy()
        assert np.array_equal(found, rng.lanes(key, start, start + count))


def test_rows_that_are_ranked_stay_on_the_cpu(tmp_path: Path) -> None:
    made = prepared(tmp_path, "della", "F32", density=0.5)
    kernel = made.kernel("big.weight")
    assert kernel is not None
    assert runs_on(kernel, "cpu", 0, 37, made.specs["big.weight"]) is None


def test_a_full_device_leaves_its_ranges_to_the_cpu_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = prepared(tmp_path, "ties", "BF16")
    want = whole(made)

    def full(*given: Any) -> None:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(device, "_combined", full)
    monkeypatch.setattr(device._Use, "name", "cuda")
    device._FULL.clear()
    assert whole(made) == want
    assert [r.message for r in caplog.records] == [
        "cuda has no room for a range of this merge: it is done on the CPU instead"
    ]


def test_an_election_refuses_what_is_not_finite_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = draw(0, "F32", SHAPES)
    broken = tune(base, 1)
    broken["norm.weight"] = broken["norm.weight"].copy()
    broken["norm.weight"][5] = np.nan
    folders = [store(tmp_path / n, m) for n, m in (("base", base), ("a", tune(base, 2)), ("b", broken))]
    monkeypatch.setattr(device._Use, "name", "meta-is-never-reached")
    monkeypatch.setattr(device, "_combined", lambda *given: None)
    with pytest.raises(InputError, match=r"norm\.weight"):
        merge(recipe("ties", folders[0], folders[1:], density=0.9), tmp_path / "out")


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cuda:99", "nonsense"):
        with pytest.raises(RecipeError, match="device"):
            check_device(name)
    check_device("cpu")
    with used("cpu"):
        assert in_use() == ""
