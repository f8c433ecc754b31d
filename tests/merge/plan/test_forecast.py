"""What a merge will read, write and hold: said from headers, and kept to under a cap."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deltakit.errors import ResourceError
from deltakit.merge import METHODS
from deltakit.merge.plan import forecast as module
from deltakit.merge.plan.forecast import available, forecast, memory_of, require_memory
from deltakit.merge.plan.load import Load
from deltakit.merge.write import merge, plan_output
from deltakit.tensors import TensorSpec
from support.merging import draw, recipe, store, tune

BIG = TensorSpec((4096, 4096), "BF16")


def load(name: str, models: int = 3, **given: float) -> Load:
    return Load(name, "paper", METHODS.make(name, **given), models, (BIG, TensorSpec((4096,), "BF16")))


def test_reads_are_passes_over_all_models() -> None:
    once = forecast([load("task_arithmetic")], 1000)
    size = 3 * (BIG.nbytes + 8192)
    assert once.reads == pytest.approx(size, rel=0.05)
    assert once.writes == 1000
    assert once.seconds == pytest.approx(size / 1e9, abs=0.06)
    assert forecast([load("ties")], 0).reads > 2 * once.reads


def test_memory_grows_with_threads_and_models_not_with_the_tensor() -> None:
    one, eight = memory_of([load("ties")], 1), memory_of([load("ties")], 8)
    assert eight - one == 7 * 7 * (8 << 20)
    larger = Load("ties", "paper", METHODS.make("ties"), 3, (TensorSpec((1 << 20, 4096), "BF16"),))
    assert memory_of([larger], 1) == one


def test_matrix_methods_hold_whole_matrices() -> None:
    assert memory_of([load("tsv_m")], 1) > 4096 * 4096 * 4 * 3


def test_more_than_there_is_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = draw(0)
    folders = [store(tmp_path / "base", base), store(tmp_path / "math", tune(base, 1))]
    monkeypatch.setattr(module, "available", lambda: 1000)
    with pytest.raises(ResourceError, match="needs about"):
        merge(recipe("ties", folders[0], folders[1:]), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    require_memory(999)


def test_a_dry_run_says_it(tmp_path: Path) -> None:
    base = draw(0)
    folders = [store(tmp_path / "base", base), store(tmp_path / "math", tune(base, 1))]
    found = plan_output(recipe("ties", folders[0], folders[1:]), tmp_path / "out")["forecast"]
    assert set(found) == {"reads", "writes", "memory", "seconds"}
    assert found["writes"] > 0
    assert available() is not None


CAPPED = """
import resource, sys
from pathlib import Path
from deltakit.merge.plan.request import plan_request
from deltakit.merge.write import merge
plan = plan_request(None, sys.argv[3:], {"base": sys.argv[1], "method": "dare_ties", "density": 0.3})
from deltakit.merge.plan.forecast import memory_of
cap = int(memory_of(plan.loads, 1) * 1.3)
resource.setrlimit(resource.RLIMIT_DATA, (cap, cap))
merge(plan, Path(sys.argv[2]), threads=1)
"""


def test_a_merge_keeps_within_its_forecast(tmp_path: Path) -> None:
    base = draw(0, "BF16", {"up.weight": (6000, 3000), "norm.weight": (3000,)})  # 72 MB in float32
    folders = [store(tmp_path / "base", base, "BF16")]
    folders += [store(tmp_path / f"m{i}", tune(base, i, "BF16"), "BF16") for i in (1, 2)]
    words = [sys.executable, "-c", CAPPED, folders[0], str(tmp_path / "out"), *folders[1:]]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
