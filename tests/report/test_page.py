"""What a page is made of."""

import pytest

from deltakit.errors import InputError
from deltakit.report.page import build_page
from deltakit.report.sources import Sources, read_sources
from support.results import comparison, result, write_json, write_losses


def test_every_source_has_its_section(tmp_path):
    paths = [write_json(tmp_path / "r.json", result()), write_json(tmp_path / "d.json", comparison())]
    page = build_page(read_sources([*paths, write_losses(tmp_path / "math")]), title="t", lines=["base"])
    assert [s.title for s in page.sections] == [
        "Accuracy by model and task",
        "Accuracy against bytes: toy_math",
        "Accuracy against bytes: toy_chat",
        "Relative norm of the delta, layer by module",
        "Training loss",
        "How it was measured",
    ]
    stems = [s.picture.stem for s in page.sections if s.picture]
    assert len(stems) == len(set(stems)) == 5


def test_a_page_may_show_one_thing(tmp_path):
    assert len(build_page(read_sources([write_losses(tmp_path / "m")])).sections) == 1


def test_nothing_is_an_error():
    with pytest.raises(InputError, match="nothing to report"):
        build_page(Sources())
