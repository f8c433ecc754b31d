"""What a run knows of its inputs. Run: pytest tests/compress/run/test_sight.py"""

from __future__ import annotations

from pathlib import Path

from deltakit.compress.run.calibrated import Walk
from deltakit.compress.run.operands import open_operands
from deltakit.compress.run.request import Request, Sampling
from deltakit.compress.run.sight import Blind, look


def test_without_a_text_nothing_is_known(tiny_base: Path, tiny_grown: Path) -> None:
    operands = open_operands(str(tiny_base), str(tiny_grown))
    found = look(operands, Request("", "", Path("a")))
    assert isinstance(found, Blind)
    assert (found.note, found.hessians) == ({}, {})


def test_with_one_a_walk_will_show(tiny_base: Path, tiny_grown: Path) -> None:
    operands = open_operands(str(tiny_base), str(tiny_grown))
    found = look(operands, Request("", "", Path("a"), sampling=Sampling(samples=2, length=8)))
    assert isinstance(found, Walk)
    assert found.note["calibration"]["samples"] == 2
    assert found.hessians == {}
