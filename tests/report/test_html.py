"""One file, nothing fetched, nothing run, every text escaped."""

import base64
import re
from html.parser import HTMLParser

import pytest

from deltakit.report.html import as_html, cell_text, is_number
from deltakit.report.page import Page, build_page
from deltakit.report.sources import read_sources
from support.results import comparison, result, write_json, write_losses

EVIL = '<script>alert("x")</script>: " onload="y" & <b>'


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Page:
    folder = tmp_path_factory.mktemp("html")
    rows = [(EVIL, 5, 1, 1), ("codecs: sign", 6, 2, 2), ("codecs: lowrank", 7, 2, 2)]
    paths = [write_json(folder / "r.json", result(rows)), write_json(folder / "d.json", comparison())]
    return build_page(read_sources([*paths, write_losses(folder / "math")]), title=EVIL)


class Reader(HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def read(page) -> Reader:
    reader = Reader()
    reader.feed(as_html(page).decode())
    return reader


def test_text_from_outside_is_text(read):
    assert "script" not in {tag for tag, _ in read.tags}
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)
    assert EVIL in read.words


def test_nothing_is_fetched(read, page):
    addresses = [a[k] for _, a in read.tags for k in ("src", "href") if a.get(k)]
    assert len(addresses) == sum(s.picture is not None for s in page.sections)
    assert all(address.startswith("data:image/svg+xml;base64,") for address in addresses)
    policy = next(a["content"] for tag, a in read.tags if tag == "meta" and "http-equiv" in a)
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"url\(|@import", as_html(page).decode())


def test_pictures_are_svg_with_words_for_those_who_do_not_see_them(read):
    images = [a for tag, a in read.tags if tag == "img"]
    assert all(image["alt"] for image in images)
    assert base64.b64decode(images[0]["src"].partition(",")[2]).lstrip().startswith(b"<?xml")


def test_every_picture_has_its_numbers_in_a_table(read, page):
    assert sum(tag == "table" for tag, _ in read.tags) == len(page.sections)
    assert "codecs" in read.words
    assert "lowrank" in read.words


def test_the_same_page_has_the_same_bytes(page):
    assert as_html(page) == as_html(page)


@pytest.mark.parametrize(
    ("value", "text", "right"),
    [
        (None, "-", True),
        (12345, "12,345", True),
        (0.123456, "0.1235", True),
        ("a", "a", False),
        ("5 ± 1", "5 ± 1", True),
    ],
)
def test_cells(value, text, right):
    assert cell_text(value) == text
    assert is_number(value) is right
