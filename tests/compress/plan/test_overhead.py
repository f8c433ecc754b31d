"""What an archive takes beside its coded matrices. Run: pytest tests/compress/plan/test_overhead.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.compress.plan.choice import parse_choice
from deltakit.compress.plan.overhead import Overhead
from deltakit.compress.plan.planning import plan_compression
from deltakit.compress.run.archive import compress
from deltakit.compress.run.operands import Operands
from deltakit.compress.run.request import Request
from deltakit.delta.difference import difference


@pytest.mark.parametrize("codec", ["svd_mixed", "lowrank", "sign", "dare", "rows", "auto"])
@pytest.mark.parametrize("notes", [0, 3000])
def test_it_is_an_upper_bound_near_the_truth(tiny_base, tiny_grown, tmp_path, codec, notes):
    base, tuned = open_checkpoint(tiny_base), open_checkpoint(tiny_grown)
    delta = difference(base, tuned)
    files = dict(tuned.sidecar.files) | ({"LICENSE": bytes(range(97, 123)) * (notes // 26)} if notes else {})
    delta = replace(delta, sidecar=Sidecar(files))
    made = parse_choice(codec)
    ratio = None if codec in ("sign", "rows") else 8
    plan = plan_compression(delta, made, ratio=ratio)
    written = compress(Operands(base, delta, (base, tuned), ()), Request("", "", tmp_path / "a", codec, ratio))
    noted = replace(delta, lineage=replace(delta.lineage, note={"codec": plan.codec}))
    real = written.nbytes - written.payload
    assert real <= Overhead.of(noted, plan.rows, base.sidecar).nbytes(plan.rows) < real * 1.12 + 40
