"""What is settled before the first byte: the plan tells apart what must not be mixed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from deltakit.checkpoint.job import Job, prepare
from deltakit.checkpoint.open import open_checkpoint
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.checkpoint.staging import staging_root
from deltakit.errors import InputError, MismatchError
from deltakit.manifest import digest
from deltakit.tensors import TensorSpec
from support.models import random_tensors, save
from support.tensors import memory

SPECS = {"b": TensorSpec((6, 5), "BF16"), "a": TensorSpec((7,), "F32")}


def job(out: Path, source: Any = None, **changes: Any) -> Job:
    given = {
        "sidecar": Sidecar({"config.json": b"{}"}), "manifest": {"seed": 1}, "max_shard_bytes": 10**9, "order": None,
        "inputs": (), "allow_nonfinite": False,
    }  # fmt: skip
    return prepare(source or memory(random_tensors(SPECS)), out, **{**given, **changes})


def test_the_same_job_has_the_same_plan_anywhere(tmp_path: Path) -> None:
    assert digest(job(tmp_path / "x").plan) == digest(job(tmp_path / "y" / "z", order=["a", "b"]).plan)


@pytest.mark.parametrize(
    "changes",
    [
        {"manifest": {"seed": 2}},
        {"sidecar": Sidecar({"config.json": b"{ }"})},
        {"sidecar": Sidecar()},
        {"max_shard_bytes": 40},
        {"allow_nonfinite": True},
        {"source": memory(random_tensors({"a": SPECS["a"]}))},
        {"source": memory(random_tensors({**SPECS, "a": TensorSpec((7, 1), "F32")}))},
    ],
)
def test_whatever_changes_bytes_changes_the_plan(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert digest(job(tmp_path / "x", **changes).plan) != digest(job(tmp_path / "x").plan)


def test_other_input_files_are_another_plan(tmp_path: Path) -> None:
    path = save(tmp_path / "in" / "model.safetensors", random_tensors(SPECS))
    before = digest(job(tmp_path / "x", open_checkpoint(path)).plan)
    assert digest(job(tmp_path / "x", open_checkpoint(path)).plan) == before
    os.utime(path, ns=(5, 5))
    assert digest(job(tmp_path / "x", open_checkpoint(path)).plan) != before


def test_pulling_follows_the_disk_unless_told(tmp_path: Path) -> None:
    source = open_checkpoint(save(tmp_path / "in" / "model.safetensors", random_tensors(SPECS)))
    assert job(tmp_path / "x", source).order == ("b", "a")
    assert job(tmp_path / "x").order == ("a", "b")
    assert job(tmp_path / "x", source, order=("a", "b")).order == ("a", "b")
    for bad in (["a"], ["a", "b", "b"], ["a", "c"]):
        with pytest.raises(MismatchError, match="exactly once"):
            job(tmp_path / "x", order=bad)


def test_a_source_that_is_a_checkpoint_is_an_input_once(tmp_path: Path) -> None:
    source = open_checkpoint(save(tmp_path / "in" / "model.safetensors", random_tensors(SPECS)))
    assert job(tmp_path / "x", source).inputs == (source,)
    assert job(tmp_path / "x", source, inputs=[source]).inputs == (source,)
    assert job(tmp_path / "x", source).paths == [tmp_path / "in" / "model.safetensors"]


@pytest.mark.parametrize("name", ["model.safetensors", "model.safetensors.index.json", "deltakit.json"])
def test_reserved_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        job(tmp_path / "x", sidecar=Sidecar({name: b""}))
    assert caught.value.details == (name,)


def test_what_an_interrupted_run_holds_is_not_needed_again(tmp_path: Path) -> None:
    big = memory(random_tensors({"a": TensorSpec((1 << 20,), "F32")}))
    made = job(tmp_path / "x", big)
    before = made.needed
    assert before > made.layout.nbytes
    held = staging_root(made.out, made.plan) / "files"
    held.mkdir(parents=True)
    (held / "model.safetensors").write_bytes(b"x" * (1 << 20))
    assert before - made.needed == pytest.approx(1 << 20, abs=1 << 14)
