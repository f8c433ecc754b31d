from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltakit.data.jsonl import Bad, Row, bad_rows_error, read_rows
from deltakit.errors import InputError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


def test_rows_know_their_lines_and_blank_lines_are_none(file: Path) -> None:
    file.write_text('{"a": 1}\n\n  \n{"a": "é\u2028x"}', encoding="utf-8")
    assert list(read_rows(file)) == [Row(1, {"a": 1}), Row(4, {"a": "é\u2028x"})]


def test_a_json_list_is_read_too(file: Path) -> None:
    file.write_text('\n [{"a": 1},\n {"a": 2}, 3]')
    assert list(read_rows(file)) == [
        Row(1, {"a": 1}),
        Row(2, {"a": 2}),
        Bad(3, "a JSON object was expected, found int"),
    ]


def test_a_byte_order_mark_is_no_content(file: Path) -> None:
    file.write_bytes(b'\xef\xbb\xbf{"a": 1}\n')
    assert list(read_rows(file)) == [Row(1, {"a": 1})]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "no JSON"),
        (b"[1]x", "no JSON"),
        (b'"text"', "found str"),
        (b"null", "found NoneType"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": "\xff"}', "not UTF-8 at byte 7"),
        (b'{"a": ' + b"[" * 100_000, "too deeply"),
    ],
)
def test_a_bad_line_is_reported_and_the_rest_is_read(file: Path, line: bytes, why: str) -> None:
    file.write_bytes(b'{"a": 0}\n' + line + b'\n{"a": 2}\n')
    first, bad, last = read_rows(file)
    assert isinstance(bad, Bad)
    assert bad.line == 2
    assert why in bad.why
    assert (first, last) == (Row(1, {"a": 0}), Row(3, {"a": 2}))


def test_a_missing_an_empty_and_a_broken_file_are_errors(file: Path) -> None:
    with pytest.raises(InputError, match="no file"):
        list(read_rows(file))
    file.write_text(" \n\n")
    with pytest.raises(InputError, match="is empty"):
        list(read_rows(file))
    file.write_text('[{"a": 1},')
    with pytest.raises(InputError, match="no JSON"):
        list(read_rows(file))


def test_the_error_names_the_first_twenty_and_counts_the_rest() -> None:
    error = bad_rows_error(Path("x/f.jsonl"), [Bad(i, "why") for i in range(1, 26)], 100, "mend them")
    assert error.message == "x/f.jsonl: 25 of 100 records are bad"
    assert error.details[0] == "f.jsonl:1: why"
    assert len(error.details) == 21
    assert error.details[-1] == "and 5 more"


@settings(max_examples=50)
@given(values=st.lists(st.dictionaries(st.text(), st.text() | st.integers()), min_size=1, max_size=5))
def test_what_was_written_is_read(values: list[dict[str, object]], tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("rows") / "f.jsonl"
    file.write_text("".join(json.dumps(v) + "\n" for v in values))
    assert [row.value for row in read_rows(file) if isinstance(row, Row)] == values
