"""The recipe of a fleet, run as its first lines say. Run: pytest tests/cli/test_fleet_recipe.py"""

from __future__ import annotations

from pathlib import Path

import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.delta.file.container import open_delta
from deltakit.delta.open import open_model
from deltakit_cli.errors import guarded
from deltakit_cli.main import cli
from support.models import tiny_llama, tiny_tuned

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "compress" / "fleet.yaml"


def test_it_runs_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = next(li for li in RECIPE.read_text().splitlines() if "deltakit run" in li)
    words = line.lstrip("# ").split()[1:]
    assert words[:2] == ["run", "recipes/compress/fleet.yaml"]
    base = tiny_llama(tmp_path / "models" / "base")
    for seed, name in enumerate(("math", "chat"), 1):
        tiny_tuned(base, tmp_path / "models" / name, seed)
    monkeypatch.chdir(tmp_path)
    small = ["variables.samples=2", "variables.ratio=8"]
    given = [str(RECIPE) if w == words[1] else w for w in words] + [x for s in small for x in ("--set", s)]
    assert guarded(cli, given) == 0
    made = tmp_path / "fleet"
    assert (made / "hessians.safetensors").is_file()
    for name in ("math", "chat"):
        archive = made / "archives" / f"{name}.archive"
        assert open_delta(archive).lineage.note["calibration"]["samples"] == 2
        assert open_model(f"{base} + {archive}").tensors.specs == open_checkpoint(base).specs
