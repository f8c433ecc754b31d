"""Distilling a tenant's scales. Run: pytest tests/train/test_distil.py"""

from __future__ import annotations

import pytest
import torch

from deltakit.compress.run.files import compress_files
from deltakit.compress.run.request import Request
from deltakit.delta.open import open_model
from deltakit.errors import NonFiniteError
from deltakit.runtime.load import load_model
from deltakit.tenants import ResidentBase
from deltakit.train.distil import Steps, distil, divergence
from support.models import tiny_llama, tiny_tuned


@pytest.fixture
def world(tmp_path):
    """(resident base with tenant "t", teacher, batches)."""
    base = tiny_llama(tmp_path / "base", seed=1)
    tiny_tuned(base, tmp_path / "tuned", seed=2, size=2.0)
    compress_files(Request(str(base), str(tmp_path / "tuned"), tmp_path / "a", "svd_mixed(bands='2:3')"))
    resident = ResidentBase.open(str(base), hold="factors")
    resident.attach("t", f"{base} + {tmp_path / 'a'}")
    tuned = open_model(str(tmp_path / "tuned"))
    draw = torch.Generator().manual_seed(0)
    batches = [torch.randint(0, 88, (2, 16), generator=draw) for _ in range(4)]
    return resident, load_model(tuned.tensors, tuned.sidecar, "float32"), batches


def test_only_the_named_numbers_move(world):
    resident, teacher, batches = world
    base = {n: p.clone() for n, p in resident.model.named_parameters()}
    before = divergence(resident, "t", teacher, batches)
    found = distil(resident, "t", teacher, batches[:3], batches[3:], Steps(6, 0.03))
    assert found.kept
    assert divergence(resident, "t", teacher, batches) < before
    assert all(torch.equal(p, base[n]) for n, p in resident.model.named_parameters())
    assert found.numbers == sum(p.numel() for _, p in resident.tenant("t").parameters())


def test_the_teacher_is_at_no_distance_from_itself(world, tmp_path):
    resident, teacher, batches = world
    resident.attach("full", str(tmp_path / "tuned"))
    assert divergence(resident, "full", teacher, batches) == pytest.approx(0.0, abs=1e-6)


def test_a_loss_that_is_not_finite_leaves_all_as_it_was(world):
    resident, _, batches = world
    start = {n: p.clone() for n, p in resident.tenant("t").parameters()}

    class Broken:
        def __call__(self, input_ids):
            from types import SimpleNamespace

            return SimpleNamespace(logits=torch.full((*input_ids.shape, 88), float("nan")))

    with pytest.raises(NonFiniteError, match="step 1 is not finite"):
        distil(resident, "t", Broken(), batches[:3], batches[3:], Steps(2))
    assert all(torch.equal(p, start[n]) for n, p in resident.tenant("t").parameters())
    assert not any(p.requires_grad for _, p in resident.tenant("t").parameters())
