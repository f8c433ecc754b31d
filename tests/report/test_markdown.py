"""Markdown tables that hold whatever a name holds."""

from deltakit.report.markdown import as_markdown
from deltakit.report.page import Page, Picture, Section

SECTION = Section(
    "A | title",
    "text with <b> & *stars*",
    ("model", "bytes"),
    (("a|b", 1234), ("c\nd", None)),
    ("codecs", "codecs"),
    Picture("accuracy", "alt [x]", None),
)


def test_tables_stay_tables():
    text = as_markdown(Page("t", (SECTION,)), {}).decode()
    assert "| a\\|b | 1,234 |" in text
    assert "| c d | - |" in text
    assert text.count("**codecs**") == 1
    assert "&lt;b&gt; &amp; \\*stars\\*" in text
    assert "![" not in text


def test_saved_pictures_are_linked():
    text = as_markdown(Page("t", (SECTION,)), {"accuracy": "my plots/accuracy.svg"}).decode()
    assert "![alt \\[x\\]](my%20plots/accuracy.svg)" in text
