from __future__ import annotations

from pathlib import Path

import pytest

from deltakit.calibrate.text import NEUTRAL, open_text
from deltakit.errors import InputError


def test_the_built_in_text_speaks() -> None:
    text = open_text(None)
    (document,) = text.documents()
    assert text.name == NEUTRAL
    assert len(document.split()) > 1000


def test_a_text_file_is_one_document(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffGrüße\n\nzwei".encode())
    assert list(open_text(str(path)).documents()) == ["Grüße\n\nzwei"]


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
    assert list(open_text(str(path)).documents()) == ["plain", "q\nr", "i\no", "2+2?\n4"]


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
