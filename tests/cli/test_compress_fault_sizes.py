"""Compressing, fault by fault (1 of 3): sizes. What is asked for is never exceeded, and what is said to do does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deltakit.compress.plan import overhead
from support.cli import call
from support.merge_world import refused
from support.models import tiny_llama, tiny_tuned

FOLLOWING = ["svd_mixed", "lowrank", "auto", "group_quant", "dare", "delta_come", "sign_lowrank"]
FOLLOWING += ["sign; *embed*=lowrank"]
FIXED = ["sign", "rows", "exact", "lowrank(rank=2)", "dare(density=0.2)", "group_quant(bits=3)"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One layer; the fine-tune has a row more."""
    folder = tmp_path_factory.mktemp("pair")
    base = tiny_llama(folder / "base", seed=1, layers=1)
    return base, tiny_tuned(base, folder / "math", seed=2, extra_rows=1)


@pytest.mark.parametrize("codec", FOLLOWING)
@pytest.mark.parametrize("size", [4600, 5999, 8765])
def test_a_file_never_exceeds_the_bytes_that_were_asked_for(
    pair: tuple[Path, Path], tmp_path: Path, codec: str, size: int
) -> None:
    """What the command says it wrote is what lies there."""
    done = call("compress", *pair, "--codec", codec, "--bytes", size, "-o", tmp_path / "a", "--format", "json")
    assert done.code == 0, done.err
    assert done.json["bytes"] == (tmp_path / "a").stat().st_size <= size


def test_a_file_that_came_out_larger_is_made_again_in_less(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the index is taken for smaller than it is."""
    monkeypatch.setattr(overhead, "_MORE", -30)
    done = call("compress", *pair, "--bytes", 6000, "-o", tmp_path / "a", "--format", "json")
    assert done.code == 0, done.err
    assert 5500 < done.json["bytes"] == (tmp_path / "a").stat().st_size <= 6000
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("codec", [*FOLLOWING, *FIXED])
def test_the_least_that_is_said_to_work_works(pair: tuple[Path, Path], tmp_path: Path, codec: str) -> None:
    words = ("compress", *pair, "--codec", codec, "-o", tmp_path / "a", "--bytes")
    done = call(*words, 700)
    refused(done, 5, "700 bytes are too few", "exact tensors, index and files")
    found = re.search(r"allow at least ([\d,]+) bytes", done.err)
    assert found is not None
    least = int(found[1].replace(",", ""))
    assert list(tmp_path.iterdir()) == []
    done = call(*words, least)
    assert done.code == 0, done.err
    assert (tmp_path / "a").stat().st_size <= least


def test_the_smallest_ratio_that_is_said_to_work_works(pair: tuple[Path, Path], tmp_path: Path) -> None:
    words = ("compress", *pair, "-o", tmp_path / "a", "--ratio")
    done = call(*words, 500)
    refused(done, 5, "the least is")
    found = re.search(r"ask for a ratio of ([\d.]+)", done.err)
    assert found is not None
    assert call(*words, found[1]).code == 0


@pytest.mark.parametrize("codec", ["svd_mixed", "auto", "group_quant"])
def test_a_dry_run_tells_the_truth(pair: tuple[Path, Path], tmp_path: Path, codec: str) -> None:
    words = ("compress", *pair, "--codec", codec, "--bytes", 6000, "-o", tmp_path / "a", "--format", "json")
    plan = call(*words, "--dry-run").json
    assert not (tmp_path / "a").exists()
    made = call(*words).json
    assert plan["payload"] == pytest.approx(made["payload"], rel=0.03)
    assert plan["matrices"] == made["matrices"]
    exact = [r["name"] for r in plan["rows"] if r["action"] == "exact"]
    assert all(set(made["kinds"][name].split("+")) <= {"exact", "changes", "ranged", "raw"} for name in exact)


def test_a_dry_run_of_what_is_exact(pair: tuple[Path, Path], tmp_path: Path) -> None:
    done = call("compress", *pair, "--codec", "exact", "--dry-run", "-o", tmp_path / "a", "--format", "human")
    assert done.code == 0, done.err
    assert "0 matrices" in done.out


@pytest.mark.parametrize(
    "codec",
    ["group_quant(bits=9)", "dare(bits=9)", "dare(density=2)", "lowrank(rank=-1)", "sign(scale='x')",
     "sign_lowrank(bits=9)", "delta_come(group=0)", "auto(weigh='x')"],
)  # fmt: skip
def test_a_parameter_that_cannot_be_is_said_to_be_one(pair: tuple[Path, Path], tmp_path: Path, codec: str) -> None:
    refused(call("compress", *pair, "--codec", codec, "--ratio", "8", "-o", tmp_path / "a"), 2, "cannot be", "hint")
