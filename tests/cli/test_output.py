"""Results on stdout, in the format that was asked for."""

import json
from pathlib import Path

import numpy as np

from deltakit_cli.output import console, emit, table


def test_json_carries_a_schema_version_and_plain_numbers(capsys):
    emit({"b": np.float32(0.5), "a": Path("x")}, lambda r: None, "json")
    assert json.loads(capsys.readouterr().out) == {"schema_version": 1, "a": "x", "b": 0.5}


def test_quiet_prints_nothing_and_human_draws(capsys):
    emit({"a": 1}, lambda r: print("drawn"), "quiet")
    assert capsys.readouterr().out == ""
    emit({"a": 1}, lambda r: print("drawn", r["a"]), "auto")
    assert capsys.readouterr().out == "drawn 1\n"


def test_tables_print_numbers_for_people(capsys):
    console().print(table(["name", "bytes", "share"], [["a", 1234567, 0.123456]], title="t"))
    out = capsys.readouterr().out
    assert "1,234,567" in out
    assert "0.1235" in out


def test_names_in_brackets_and_colons_are_printed_as_they_are(capsys):
    console().print("wrote [red]x.delta :cat: [/y]")
    console().print(table(["name"], [["a[bold]b"]]))
    out = capsys.readouterr().out
    assert "wrote [red]x.delta :cat: [/y]" in out
    assert "a[bold]b" in out
