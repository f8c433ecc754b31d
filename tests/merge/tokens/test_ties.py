"""A recipe whose models tie their heads differently is told apart from one with other vocabularies."""

from __future__ import annotations

from pathlib import Path

from deltakit.merge.tokens.ties import ties_differ
from support.vocabularies import bpe, model


def test_only_ties_count(tmp_path: Path) -> None:
    tied = model(tmp_path / "tied", bpe(), seed=1, tied=True).text
    own = model(tmp_path / "own", bpe(), seed=2).text
    longer = model(tmp_path / "longer", bpe(), seed=3, rows=300).text
    assert ties_differ([tied, own])
    assert ties_differ([own, tied, own])
    assert not ties_differ([tied, tied])
    assert not ties_differ([own, own])
    assert not ties_differ([tied, longer])
    assert not ties_differ([tied, str(tmp_path / "nobody")])
    assert not ties_differ([])
