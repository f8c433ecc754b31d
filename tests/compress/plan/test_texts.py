"""Lists of codecs as text. Run: pytest tests/compress/plan/test_texts.py"""

from __future__ import annotations

import pytest

from deltakit.compress.plan.texts import split_outside


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        (" ; ;", []),
        ("a", ["a"]),
        ("a; b ;c", ["a", "b", "c"]),
        ("a(x=[1;2]); b", ["a(x=[1;2])", "b"]),
        ("a(x='1);2'); b", ["a(x='1);2')", "b"]),
        ("a(x=';", ["a(x=';"]),
    ],
)
def test_pieces(text, pieces):
    assert list(split_outside(text, ";")) == pieces
