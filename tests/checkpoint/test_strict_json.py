"""JSON that two readers could read differently is refused."""

from __future__ import annotations

import pytest

from deltakit.checkpoint.strict_json import parse_json
from deltakit.errors import CheckpointError


def test_plain_json_is_read() -> None:
    assert parse_json(b'{"a": [1, 2.5, null, "\xc3\xa9"]}', "f") == {"a": [1, 2.5, None, "é"]}
    assert parse_json(memoryview(b"[]"), "f") == []


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"a": 1, "a": 1}', "duplicate keys"),
        (b'{"x": {"a": 1, "b": 2, "a": 3}}', "duplicate keys"),
        (b'{"a": \xff}', "not UTF-8 text .byte 6."),
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"<html>", "not JSON"),
        (b"[" * 20_000, "nested too deeply"),
        (b'{"a":' * 20_000, "nested too deeply"),
        (b"[" + b"9" * 5_000 + b"]", "not JSON"),
    ],
)
def test_bad_json_names_the_file_and_the_fault(raw: bytes, said: str) -> None:
    with pytest.raises(CheckpointError, match=said) as caught:
        parse_json(raw, "the-file.json")
    assert "the-file.json" in caught.value.message


def test_every_duplicate_is_listed() -> None:
    with pytest.raises(CheckpointError) as caught:
        parse_json(b'{"a": 1, "a": 2, "a": 3, "b": 1, "c": 1, "c": 1}', "f")
    assert caught.value.details == ("'a' appears 3 times", "'c' appears 2 times")
