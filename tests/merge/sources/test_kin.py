"""Models of a blueprint that do not belong together are refused before weights are read, all at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deltakit.errors import MismatchError
from deltakit.merge.plan.blueprint import Blueprint, Piece, Read, Use
from deltakit.merge.sources.allowances import Allowances
from deltakit.merge.sources.kin import check_kin
from deltakit.merge.sources.source import Source, open_source
from support.merging import store

SHAPES = {f"layers.{i}.up.weight": (32, 32) for i in range(3)}


def drawn(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {n: rng.standard_normal(s).astype(np.float32) for n, s in SHAPES.items()}


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Source]:
    base = drawn(0)
    near = {n: a + np.float32(0.01) * drawn(1)[n] for n, a in base.items()}
    made = {"base": base, "near": near, "apart": drawn(2)}
    return {n: open_source(n, store(tmp_path / n, a)) for n, a in made.items()}


def over(sources: dict[str, Source], *models: str) -> Blueprint:
    pieces = {n: Piece("ties", tuple(Use(Read(m, n)) for m in models), Read("base", n)) for n in SHAPES}
    return Blueprint({n: s.text for n, s in sources.items()}, pieces, "base", "base")


def test_kin_pass_without_a_word(sources: dict[str, Source]) -> None:
    found = check_kin(over(sources, "near"), sources, Allowances())
    assert found.warnings == ()
    assert found.kinships["near"].ratio < 0.02


def test_strangers_are_refused_or_allowed_with_a_warning(sources: dict[str, Source]) -> None:
    with pytest.raises(MismatchError, match="trained apart") as wrong:
        check_kin(over(sources, "near", "apart"), sources, Allowances())
    assert [d.split(":")[0] for d in wrong.value.details] == ["apart"]
    (line,) = check_kin(over(sources, "near", "apart"), sources, Allowances(unrelated=True)).warnings
    assert line.startswith("apart: unrelated to base")


def test_layers_that_only_stand_one_after_another_need_not_be_kin(sources: dict[str, Source]) -> None:
    pieces = {n: Piece("passthrough", (Use(Read("apart" if "1" in n else "base", n)),)) for n in SHAPES}
    made = Blueprint({n: s.text for n, s in sources.items()}, pieces, "base")
    assert check_kin(made, sources, Allowances()).warnings == ()


def test_weights_and_settings_are_refused_in_one_error(sources: dict[str, Source], tmp_path: Path) -> None:
    (tmp_path / "apart" / "config.json").write_text('{"model_type": "toy", "rms_norm_eps": 0.5, "rope_theta": 5.0}')
    (tmp_path / "base" / "config.json").write_text('{"model_type": "toy", "rms_norm_eps": 0.1, "rope_theta": 1.0}')
    opened = {n: open_source(n, s.text) for n, s in sources.items()}
    with pytest.raises(MismatchError) as wrong:
        check_kin(over(opened, "apart"), opened, Allowances())
    said = " ".join(wrong.value.details)
    assert "unrelated" in said
    assert "rms_norm_eps" in said
    allowed = check_kin(over(opened, "apart"), opened, Allowances(unrelated=True, config_drift=True))
    assert len(allowed.warnings) == 3
