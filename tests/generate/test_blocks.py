from __future__ import annotations

import pytest

from deltakit.generate.blocks import fenced, is_python, program_in


def shape(text: str) -> list[tuple[str, str, bool]]:
    return [(b.language, b.text, b.closed) for b in fenced(text)]


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("no block", []),
        ("a\n```python\nx\n```\nb", [("python", "x\n", True)]),
        ("```\nx\n```", [("", "x\n", True)]),
        ("```python\nx\ny", [("python", "x\ny", False)]),
        ("```python\nx\n```output\n1\n```\n", [("python", "x\n", False), ("output", "1\n", True)]),
        ("```Python\nx\n```\n```py\ny\n```", [("python", "x\n", True), ("py", "y\n", True)]),
        ("  ```python\n  x\n  ```", [("python", "  x\n", True)]),
        ("say ```python\nx\n```", [("", "", False)]),  # a mark inside a line opens nothing
        ("```python\n```", [("python", "", True)]),
        ("```python\r\nx\r\n```\r\n", [("python", "x\r\n", True)]),
        ("", []),
    ],
)
def test_blocks(text, blocks):
    assert shape(text) == blocks


def test_a_block_knows_where_it_stands():
    text = "before\n```python\nx\n```\nafter"
    (block,) = fenced(text)
    assert text[block.start : block.end] == "```python\nx\n```\n"
    assert text[: block.start] + text[block.end :] == "before\nafter"


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("first\n```python\na = 1\n```\nthen\n```python\nprint(a)\n```", "a = 1\n\nprint(a)\n"),
        ("```output\n3\n```", None),
        ("print(1)", "print(1)"),
        ("def solution():\n    return 1", "def solution():\n    return 1"),
        ("The answer is 18", None),
        ("18", None),
        ("we print(it) and then", None),
        ("print(" + "(" * 5000, None),
        ("print(1)\x00", None),
    ],
)
def test_the_program_of_a_response(text, program):
    assert program_in(text) == program


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("x = 1", True), ("print('\\d')", True), ("return 1", False), ("(" * 9999, False), ("x\x00", False), ("", True)],
)
def test_what_python_would_take(text, is_one):
    assert is_python(text) is is_one
