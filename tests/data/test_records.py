from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deltakit.data.jsonl import Bad
from deltakit.data.records import KINDS, Record, gsm8k_response, read_records, record_from
from deltakit.data.synthetic import chat_records, math_records
from deltakit.errors import InputError, RecipeError

FOBAR = {
    "query": "Tom has x pens.\nIf we know the answer is 7, what is the value of x?",
    "response": "The value of x is 3.\n#### 3\nThe answer is: 3",
    "type": "GSM_FOBAR",
    "original_question": "Tom has 3 pens.",
}
GSM = {"question": "How many?", "answer": "He has 2*3 = <<2*3=6>>6 pens.\n#### 6"}


def write(path: Path, rows: list[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def test_a_multi_line_query_is_split_and_keeps_its_type() -> None:
    record = record_from(FOBAR, "metamath", 7)
    first, rest = FOBAR["query"].split("\n")
    assert record == Record(first, rest, FOBAR["response"], "GSM_FOBAR", 7)


def test_an_instruction_record_may_lack_its_input() -> None:
    assert record_from({"instruction": "Say hi.", "output": "Hi."}, "instruction") == Record("Say hi.", "", "Hi.")
    given = {"instruction": "Add.", "input": "1 2", "output": "3"}
    assert record_from(given, "instruction") == Record("Add.", "1 2", "3")


def test_gsm8k_loses_its_calculator_marks_and_gains_the_phrase() -> None:
    assert record_from(GSM, "gsm8k", 1) == Record(
        "How many?", "", "He has 2*3 = 6 pens.\n#### 6\nThe answer is: 6", "", 1
    )


def test_gsm8k_keeps_a_number_as_it_is_written() -> None:
    assert gsm8k_response("So.\n#### 2,125\n").endswith("\n#### 2,125\nThe answer is: 2,125")


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        ("metamath", {"query": "q"}, "no field 'response'; found query"),
        ("metamath", {"query": "q", "response": 3}, "'response' is int"),
        ("metamath", {"query": " ", "response": "r"}, "'query' is empty"),
        ("metamath", {"query": "q", "response": "r", "type": None}, "'type' is NoneType"),
        ("instruction", {"instruction": "i", "input": 1, "output": "o"}, "'input' is int"),
        ("instruction", {"instruction": "i", "output": "\n"}, "'output' is empty"),
        ("gsm8k", {"question": "q", "answer": "just 6"}, "'#### N'"),
        ("gsm8k", {"question": "q", "answer": "2 <<2=2 2\n#### 2"}, "not closed"),
    ],
)
def test_an_unusable_row_says_why(kind: str, value: Mapping[str, Any], why: str) -> None:
    bad = record_from(value, kind, 4)
    assert isinstance(bad, Bad)
    assert bad.line == 4
    assert why in bad.why


def test_the_kind_is_found_by_the_fields(tmp_path: Path) -> None:
    for kind, row in (("metamath", FOBAR), ("gsm8k", GSM), ("instruction", {"instruction": "i", "output": "o"})):
        assert read_records(write(tmp_path / f"{kind}.jsonl", [row])).kind == kind
    with pytest.raises(InputError, match="cannot tell the kind"):
        read_records(write(tmp_path / "odd.jsonl", [{"text": "x"}]))
    with pytest.raises(InputError, match="cannot tell the kind"):
        read_records(write(tmp_path / "both.jsonl", [FOBAR | GSM]))


def test_all_bad_rows_are_listed_at_once(tmp_path: Path) -> None:
    file = write(tmp_path / "f.jsonl", [FOBAR, {"query": "q"}, FOBAR, {"query": "", "response": "r"}])
    with pytest.raises(InputError, match="2 of 4 records are bad") as caught:
        read_records(file, "metamath")
    assert [d.split(": ")[0] for d in caught.value.details] == ["f.jsonl:2", "f.jsonl:4"]


def test_bad_rows_that_are_allowed_are_counted(tmp_path: Path) -> None:
    file = write(tmp_path / "f.jsonl", [FOBAR, {"query": "q"}, FOBAR])
    reading = read_records(file, "metamath", allow_bad=1)
    assert [r.line for r in reading.records] == [1, 3]
    assert [b.line for b in reading.bad] == [2]


def test_a_file_without_a_good_record_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 of 1"):
        read_records(write(tmp_path / "f.jsonl", [{"query": "q"}]), "metamath", allow_bad=5)


def test_the_limit_counts_good_records(tmp_path: Path) -> None:
    file = write(tmp_path / "f.jsonl", [{"query": "q"}, FOBAR, FOBAR, {"query": "q"}])
    reading = read_records(file, "metamath", limit=2, allow_bad=1)
    assert (len(reading.records), len(reading.bad)) == (2, 1)


def test_an_unknown_kind_suggests(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="metamth"):
        read_records(write(tmp_path / "f.jsonl", [FOBAR]), "metamth")
    with pytest.raises(RecipeError, match="gsm9k"):
        record_from(FOBAR, "gsm9k")


@pytest.mark.parametrize(
    ("kind", "rows"), [("metamath", math_records("train", 20)), ("instruction", chat_records("train", 20))]
)
def test_the_toy_world_speaks_these_schemas(tmp_path: Path, kind: str, rows: list[dict[str, str]]) -> None:
    reading = read_records(write(tmp_path / "toy.jsonl", rows))
    assert (reading.kind, len(reading.records)) == (kind, 20)


@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [
        ("gsm8k/train.jsonl", "gsm8k", 7473),
        ("chat/rasbt_instruction_1100.jsonl", "instruction", 1100),
        ("chat/dolly_subset_2k.jsonl", "instruction", 2000),
    ],
)
def test_real_files_are_read_whole(shared_data: Path, name: str, kind: str, count: int) -> None:
    reading = read_records(shared_data / name)
    assert (reading.kind, len(reading.records), reading.bad) == (kind, count, ())
    assert not any("<<" in r.response for r in reading.records if kind == "gsm8k")


def test_every_kind_has_a_reader_here() -> None:
    assert sorted(KINDS) == ["gsm8k", "instruction", "metamath"]
