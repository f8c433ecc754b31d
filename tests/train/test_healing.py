"""Compressing and healing in one. Run: pytest tests/train/test_healing.py"""

from __future__ import annotations

import pytest

from deltakit.calibrate.sampling import Sampling
from deltakit.compress.run.request import Request
from deltakit.errors import InputError, ResourceError
from deltakit.train.distil import Steps
from deltakit.train.healing import compress_and_heal
from support.models import tiny_llama, tiny_tuned


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("healing")
    tiny_tuned(tiny_llama(made / "base", seed=1), made / "tuned", seed=2, size=2.0)
    return made


def request(folder, out, **more):
    sampling = Sampling(samples=12, length=24, batch=3)
    return Request(str(folder / "base"), str(folder / "tuned"), out, "svd_mixed", sampling=sampling, **more)


def test_the_healed_file_keeps_to_its_bytes(folder, tmp_path):
    made = compress_and_heal(request(folder, tmp_path / "a", nbytes=9000), Steps(6, 0.03))
    assert made.healed.distilled.kept
    assert made.compressed.nbytes == (tmp_path / "a").stat().st_size <= 9000
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_an_output_in_the_way_is_told_before_anything_runs(folder, tmp_path):
    (tmp_path / "a").write_text("mine")
    with pytest.raises(InputError, match="exists"):
        compress_and_heal(request(folder, tmp_path / "a", ratio=8), Steps(1))
    assert (tmp_path / "a").read_text() == "mine"
    with pytest.raises(ResourceError, match="too few to heal"):
        compress_and_heal(request(folder, tmp_path / "b", nbytes=100), Steps(1))
