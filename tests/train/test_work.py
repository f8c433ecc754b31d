"""Checkpoints: sealed or not there at all."""

import json

import pytest

from deltakit.errors import InputError
from deltakit.train.work import begin, newest, retire, seal, step_of, work_folder


def checkpoint(folder, step, sealed=True):
    made = folder / f"checkpoint-{step}"
    made.mkdir(parents=True)
    (made / "model.safetensors").write_bytes(b"x" * 10)
    (made / "optimizer.pt").write_bytes(b"y" * 20)
    if sealed:
        seal(made)
    return made


def test_the_newest_sealed_one_counts_by_number(tmp_path):
    checkpoint(tmp_path, 9)
    checkpoint(tmp_path, 10)
    checkpoint(tmp_path, 11, sealed=False)
    assert newest(tmp_path).name == "checkpoint-10"
    assert step_of(newest(tmp_path)) == 10


@pytest.mark.parametrize("harm", ["cut", "gone", "seal cut"])
def test_a_harmed_one_never_counts(tmp_path, harm):
    checkpoint(tmp_path, 1)
    last = checkpoint(tmp_path, 2)
    if harm == "cut":
        (last / "optimizer.pt").write_bytes(b"y" * 19)
    elif harm == "gone":
        (last / "model.safetensors").unlink()
    else:
        (last / "complete.json").write_text((last / "complete.json").read_text()[:10])
    assert newest(tmp_path).name == "checkpoint-1"


def test_retire_keeps_the_newest_sealed(tmp_path):
    for step in (1, 2, 3):
        checkpoint(tmp_path, step)
    checkpoint(tmp_path, 4, sealed=False)
    retire(tmp_path, 2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-2", "checkpoint-3"]


def test_begin_resumes_its_own_run_only(tmp_path):
    folder = work_folder(tmp_path / "out")
    assert folder.name == "out.training"
    assert begin(folder, {"seed": 1, "list": (1, 2)}, fresh=False) is None
    checkpoint(folder, 5)
    assert begin(folder, {"seed": 1, "list": (1, 2)}, fresh=False).name == "checkpoint-5"
    with pytest.raises(InputError) as refused:
        begin(folder, {"seed": 2, "list": (1, 2)}, fresh=False)
    assert "seed: 1 there, 2 here" in str(refused.value)
    assert "--resume never" in str(refused.value)
    assert newest(folder) is not None
    assert begin(folder, {"seed": 2}, fresh=True) is None
    assert newest(folder) is None
    assert json.loads((folder / "run.json").read_text()) == {"seed": 2}


def test_a_strange_folder_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(InputError, match="no training run"):
        begin(tmp_path, {}, fresh=False)
    assert (tmp_path / "mine").read_text() == "precious"
