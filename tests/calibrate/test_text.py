from __future__ import annotations

from pathlib import Path

import pytest

from deltakit.calibrate.text import NEUTRAL, open_text
from deltakit.errors import InputError


def test_the_built_in_text_speaks() -> None:
    text = open_text(None)
    ((document, begins),) = text.pieces()
    assert begins
    assert text.name == NEUTRAL
    assert len(document.split()) > 1000


def test_a_text_file_is_one_document(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffGrüße\n\nzwei".encode())
    assert list(open_text(str(path)).pieces()) == [("Grüße\n\nzwei", True)]


def test_a_long_text_file_comes_in_pieces_that_end_where_lines_do(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    line = "é" * 99 + "\n"
    path.write_bytes((line * 2000).encode())
    pieces = list(open_text(str(path)).pieces())
    assert "".join(piece for piece, _ in pieces) == line * 2000
    assert [begins for _, begins in pieces] == [True] + [False] * (len(pieces) - 1)
    assert len(pieces) == 4
    assert all(piece.endswith("\n") for piece, _ in pieces)


def test_the_digest_is_that_of_the_documents(tmp_path: Path) -> None:
    one, two, other = (tmp_path / n for n in ("one.jsonl", "two.jsonl", "other.jsonl"))
    one.write_text('{"text": "ab"}\n{"text": "c"}\n')
    two.write_text('{"id": 5, "text": "ab"}\n\n{"text":"c"}\n')
    other.write_text('{"text": "a"}\n{"text": "bc"}\n')
    assert open_text(str(one)).digest() == open_text(str(two)).digest()
    assert open_text(str(one)).digest() != open_text(str(other)).digest()
    assert open_text(None).digest() == open_text(None).digest()


def test_rows_of_each_known_kind(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [
        '{"text": "plain", "query": "not this"}',
        "",
        '{"query": "q", "response": "r"}',
        '{"instruction": "i", "input": "", "output": "o"}',
        '{"question": "2+2?", "answer": "4"}',
    ]
    path.write_text("\n".join(rows))
    assert [piece for piece, begins in open_text(str(path)).pieces() if begins] == ["plain", "q\nr", "i\no", "2+2?\n4"]


def test_every_bad_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "good"}\n{"text": ""}\n[1]\n{broken\n{"body": "x"}\n\xff\n{"text": 5}\n')
    with pytest.raises(InputError, match="6 of 7 rows hold no text") as caught:
        open_text(str(path))
    assert [d.split()[1].rstrip(":") for d in caught.value.details] == ["2", "3", "4", "5", "6", "7"]


def test_many_bad_rows_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("{}\n" * 30)
    with pytest.raises(InputError) as caught:
        open_text(str(path))
    assert caught.value.details[-1] == "and 10 more"


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.txt", b" \n", "holds no text"),
        ("a.txt", b"\xff\xfe\x00", "not UTF-8"),
        ("a.jsonl", b"\n\n", "is empty"),
        ("none.txt", None, "no text file"),
    ],
)
def test_files_without_text_are_refused(tmp_path: Path, name: str, content: bytes | None, what: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=what):
        open_text(str(tmp_path / name))
