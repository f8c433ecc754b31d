"""A source is what a MODEL string opens, and may be seen through a view."""

from __future__ import annotations

from pathlib import Path

from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import Checkpoint, open_checkpoint
from deltakit.merge.sources.source import open_source
from deltakit.tensors import select
from support.merging import family


def test_a_checkpoint_is_its_own_read(tmp_path: Path) -> None:
    base, _ = family(tmp_path, 1)
    source = open_source("base", base)
    assert isinstance(source.tensors, Checkpoint)
    assert source.reads == (source.tensors,)
    assert source.fingerprint == fingerprint(open_checkpoint(base))


def test_an_expression_watches_its_base(tmp_path: Path) -> None:
    base, (model,) = family(tmp_path, 1)
    source = open_source("sum", f"{base} + 0.5*{model}")
    assert [c.source for c in source.reads] == [base]


def test_a_view_keeps_who_it_is(tmp_path: Path) -> None:
    base, _ = family(tmp_path, 1)
    source = open_source("base", base)
    seen = source.view(lambda tensors: select(tensors, lambda n: n == "norm.weight"))
    assert list(seen.tensors.specs) == ["norm.weight"]
    assert seen.fingerprint == source.fingerprint
