"""Making a plan. Run: pytest tests/compress/plan/test_planning.py"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deltakit.checkpoint.sidecar import Sidecar
from deltakit.compress.codec import parse_codec
from deltakit.compress.plan.choice import parse_choice
from deltakit.compress.plan.overhead import Overhead
from deltakit.compress.plan.planning import changed, noted, plan_compression, planner
from deltakit.delta.expression import Lineage
from deltakit.errors import NoEffectError, RecipeError, ResourceError
from support.spectra import delta_of, shared_delta

PARTS = [shared_delta((48, 40), 0.9, 1), shared_delta((40, 48), 0.0, 2), np.zeros((20, 24), np.float32)]
CODECS = ["svd_mixed", "auto", "lowrank; w01*=sign", "auto; w00*=svd_mixed"]


def delta():
    return delta_of(PARTS)


@pytest.mark.parametrize("codec", CODECS)
def test_a_ratio_reads_what_it_must(codec):
    plan = plan_compression(delta(), parse_choice(codec), ratio=8)
    rows = {row.name: row for row in plan.rows}
    assert plan.payload <= sum(row.spec.nbytes for row in plan.covered) / 8
    assert rows["w02.weight"].action == ("unchanged" if "auto" in codec else "codec")  # only auto has looked


@pytest.mark.parametrize("codec", CODECS)
def test_a_number_of_bytes_is_for_all(codec):
    plan = plan_compression(delta(), parse_choice(codec), nbytes=3000)
    rest = Overhead.of(noted(delta(), plan.codec), plan.rows, Sidecar()).nbytes(plan.rows)
    assert 2800 < rest + plan.payload <= 3000
    assert {row.name: row.action for row in plan.rows}["w02.weight"] == "unchanged"


@pytest.mark.parametrize("codec", CODECS)
def test_too_few_bytes_say_the_least_that_works(codec):
    with pytest.raises(ResourceError, match="too few") as wrong:
        plan_compression(delta(), parse_choice(codec), nbytes=300)
    least = int(wrong.value.remedy.split()[3].replace(",", ""))
    plan_compression(delta(), parse_choice(codec), nbytes=least + 50)
    with pytest.raises(ResourceError, match="least is"):
        plan_compression(delta(), parse_choice(codec), ratio=2000)


def test_one_look_serves_every_size():
    made = planner(delta(), parse_choice("auto"))
    errors = [sum(f.error for f in made.plan(ratio=ratio).forecasts.values()) for ratio in (4, 8, 16, 32)]
    assert errors == sorted(errors)
    assert made.plan(ratio=8) == plan_compression(delta(), parse_choice("auto"), ratio=8)


def test_a_codec_by_itself_is_a_choice():
    assert plan_compression(delta(), parse_codec("sign")).codec == "sign(scale='scalar', zeros='auto')"


def test_a_pattern_must_name_something():
    with pytest.raises(RecipeError, match="matches no tensor"):
        plan_compression(delta(), parse_choice("auto; *embed*=sign"), ratio=8)
    plan_compression(delta(), parse_choice("auto; w02*=sign"), nbytes=3000)  # there, but equal to the base's


def test_no_change_at_all():
    still = delta_of([np.zeros((20, 24), np.float32)])
    still = replace(still, lineage=Lineage("a", "b"))
    for codec in ("auto", "svd_mixed"):
        with pytest.raises(NoEffectError, match="no matrix"):
            plan_compression(still, parse_choice(codec), nbytes=3000)
    with pytest.raises(NoEffectError, match="equals its base"):
        plan_compression(replace(still, lineage=Lineage("a", "a")), parse_choice("svd_mixed"), ratio=8)
    assert not changed(still.entries["w00.weight"])


def test_the_lineage_says_what_it_said_before():
    once = noted(delta(), "sign")
    assert noted(once, "auto").lineage.note == {"codec": "auto", "of": {"codec": "sign"}}
