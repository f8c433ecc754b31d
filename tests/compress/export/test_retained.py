"""What an adapter keeps, measured from its folder. Run: pytest tests/compress/export"""

from __future__ import annotations

from deltakit.checkpoint.open import open_checkpoint
from deltakit.compress.export.peft_lora import LoraRequest, export_lora
from deltakit.compress.export.retained import Retained, energy_of, measure
from deltakit.delta.difference import difference
from deltakit.manifest import make_manifest
from support.models import tiny_llama, tiny_tuned

NAME = "model.layers.0.mlp.up_proj.weight"


def test_shares():
    assert Retained(4.0, 1.0).share == 0.75
    assert Retained(0.0, 0.0).share == 1.0


def test_a_full_rank_adapter_retains_all_and_a_small_one_less(tmp_path):
    base = open_checkpoint(tiny_llama(tmp_path / "base", seed=1))
    delta = difference(base, open_checkpoint(tiny_tuned(base.path, tmp_path / "tuned", seed=2))).bind(base)
    shares = []
    for rank in (32, 2):
        export_lora(base, delta, tmp_path / f"r{rank}", LoraRequest(rank, dtype="F32"), make_manifest("export"))
        shares.append(measure(tmp_path / f"r{rank}", base, delta, [NAME])[NAME].share)
    assert shares[0] > 1 - 1e-9
    assert 0.05 < shares[1] < 0.9
    assert energy_of(delta.entries[NAME]) > 0
