"""Outputs of a report: whole or not at all."""

from pathlib import Path

import pytest

from deltakit.errors import InputError, RecipeError
from deltakit.report.page import Page, build_page
from deltakit.report.sources import read_sources
from deltakit.report.write import write_report
from support.results import result, write_json


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return build_page(read_sources([write_json(tmp_path / "r.json", result())]))


def test_html_and_pictures(page, tmp_path):
    made = write_report(page, tmp_path / "report.html", plots=tmp_path / "plots")
    assert made.path.stat().st_size == made.nbytes
    assert made.path.read_bytes().startswith(b"<!doctype html>")
    stems = ("accuracy", "bytes-toy_chat", "bytes-toy_math")
    assert made.pictures == tuple(sorted(f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")))
    assert sorted(p.name for p in (tmp_path / "plots").iterdir()) == sorted([*made.pictures, "deltakit.json"])


def test_markdown_links_its_pictures_from_where_it_lies(page, tmp_path):
    write_report(page, tmp_path / "docs" / "report.md", plots=tmp_path / "plots")
    text = (tmp_path / "docs" / "report.md").read_text()
    assert "](../plots/bytes-toy_math.svg)" in text
    write_report(page, tmp_path / "alone.md")
    assert "![" not in (tmp_path / "alone.md").read_text()


def test_an_existing_output_is_kept_unless_told(page, tmp_path):
    out = tmp_path / "report.html"
    out.write_text("mine")
    with pytest.raises(InputError, match="exists"):
        write_report(page, out)
    assert out.read_text() == "mine"
    write_report(page, out, overwrite=True)
    assert out.read_bytes().startswith(b"<!doctype")


def test_an_unknown_ending_is_refused(page, tmp_path):
    with pytest.raises(RecipeError, match=r"\.pdf"):
        write_report(page, tmp_path / "report.pdf")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.json"]
