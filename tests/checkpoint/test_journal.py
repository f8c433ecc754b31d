"""The journal: durable in order, verified on reading, deaf to other plans and torn lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from deltakit.checkpoint.checksum import checksum
from deltakit.checkpoint.journal import Journal, Record
from support.faults import faulty


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "data").write_bytes(b"0123456789")
    return tmp_path


def opened(folder: Path, plan: str = "p") -> Journal:
    return Journal(folder / "journal", folder / "files", plan)


def test_what_was_added_is_found_by_the_next_run(folder: Path) -> None:
    journal = opened(folder)
    assert journal.get("t") is None
    journal.add("t", "data", 2, 3, checksum(b"234"), {"nan": 1})
    journal.close()
    again = opened(folder)
    assert again.get("t") == Record("t", "data", 2, 3, checksum(b"234"), {"nan": 1})
    assert len(again) == 1
    again.close()
    again.close()


@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_data_that_is_not_what_the_journal_says_is_not_trusted(folder: Path, damage: str) -> None:
    journal = opened(folder)
    journal.add("t", "data", 2, 8, checksum(b"23456789"))
    data = folder / "files" / "data"
    if damage == "flip":
        data.write_bytes(b"0123456_89")
    elif damage == "cut":
        data.write_bytes(b"01234")
    else:
        data.unlink()
    assert opened(folder).get("t") is None
    journal.close()


def test_another_plan_sees_nothing_and_starts_afresh(folder: Path) -> None:
    journal = opened(folder, "one")
    journal.add("t", "data", 0, 1, checksum(b"0"))
    journal.close()
    other = opened(folder, "two")
    assert other.get("t") is None
    other.close()
    assert opened(folder, "one").get("t") is None


@pytest.mark.parametrize("keep", range(0, 100, 7))
def test_a_torn_line_is_cut_off_and_written_over(folder: Path, keep: int) -> None:
    journal = opened(folder)
    journal.add("a", "data", 0, 1, checksum(b"0"))
    journal.close()
    before = (folder / "journal").stat().st_size
    journal = opened(folder)
    journal.add("b", "data", 1, 1, checksum(b"1"))
    journal.close()
    whole = (folder / "journal").read_bytes()
    (folder / "journal").write_bytes(whole[: min(before + keep, len(whole) - 1)])
    journal = opened(folder)
    assert journal.get("a")
    assert journal.get("b") is None
    journal.add("c", "data", 2, 1, checksum(b"2"))
    journal.close()
    again = opened(folder)
    assert [n for n in "abc" if again.get(n)] == ["a", "c"]


def test_odd_names_survive(folder: Path) -> None:
    journal = opened(folder)
    names = ["a\nb", "ü\u2028\x85", '"quoted"', "x" * 10_000, "{}"]
    for name in names:
        journal.add(name, "data", 0, 1, checksum(b"0"))
    assert all(opened(folder).get(name) for name in names)


def test_the_data_are_synced_before_the_line(folder: Path) -> None:
    journal = opened(folder)
    with faulty() as shim:
        journal.extend([Record("a", "data", 0, 1, checksum(b"0")), Record("b", "data", 1, 1, checksum(b"1"))])
    assert shim.calls == ["open", "fsync", "ftruncate", "pwrite", "fsync"]
    with faulty() as shim:
        journal.extend([])
    assert shim.calls == []
