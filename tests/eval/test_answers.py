import json
import subprocess
import sys
from pathlib import Path

import pytest

from deltakit.errors import InputError
from deltakit_eval.answers import Answers


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "answers"


def filled(folder: Path, n: int = 5) -> list[dict[str, str]]:
    values = [{"text": f"né{i}\n" * i} for i in range(n)]
    with Answers(folder) as held:
        for i, value in enumerate(values):
            held.put(f"k{i}", value)
    return values


def test_what_was_put_is_found_again_in_the_same_and_in_a_later_process(folder: Path) -> None:
    values = filled(folder)
    with Answers(folder) as again:
        assert [again.get(f"k{i}") for i in range(5)] == values
        assert "k4" in again
        assert "k5" not in again
        assert again.get("k5") is None
        again.put("k5", [1, True])
        assert again.get("k5") == [1, True]
        assert again.get("k2") == values[2]


def test_without_a_folder_nothing_is_written() -> None:
    held = Answers()
    held.put("k", [1.5])
    assert "k" in held
    assert held.get("k") == [1.5]
    assert held.get("other") is None


def test_a_file_cut_at_any_byte_keeps_its_whole_lines(folder: Path) -> None:
    values = filled(folder)
    raw = (folder / "answers.jsonl").read_bytes()
    lines = raw.splitlines(keepends=True)
    for at in range(len(lines[0]), len(raw)):
        (folder / "answers.jsonl").write_bytes(raw[:at])
        whole = raw[:at].count(b"\n") - 1
        with Answers(folder) as held:
            assert [f"k{i}" in held for i in range(5)] == [i < whole for i in range(5)]
            held.put("new", {"text": "more"})
        with Answers(folder) as again:
            assert again.get("new") == {"text": "more"}
            assert [again.get(f"k{i}") for i in range(whole)] == values[:whole]


def test_a_flipped_bit_loses_one_item_and_is_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    filled(folder)
    path = folder / "answers.jsonl"
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"k2") + 12] ^= 1
    path.write_bytes(raw)
    with Answers(folder) as held:
        assert [f"k{i}" in held for i in range(5)] == [True, True, False, True, True]
    assert "1 lines are damaged" in caplog.text


@pytest.mark.parametrize("header", ['{"deltakit_answers": 2}', '{"other": 1}', "[1]", "text"])
def test_a_file_of_another_version_is_refused_and_kept(folder: Path, header: str) -> None:
    folder.mkdir()
    (folder / "answers.jsonl").write_text(header + "\n")
    with pytest.raises(InputError, match="answers"):
        Answers(folder)
    assert (folder / "answers.jsonl").read_text() == header + "\n"


_APPEND = """
import sys
from pathlib import Path
from deltakit_eval.answers import Answers
with Answers(Path(sys.argv[1])) as held:
    for i in range(200):
        held.put(f"{sys.argv[2]}-{i}", {"text": "x" * (i * 13 % 9000)})
"""


def test_several_processes_append_whole_lines(folder: Path) -> None:
    Answers(folder).close()
    running = [subprocess.Popen([sys.executable, "-c", _APPEND, str(folder), who]) for who in "01"]
    assert [process.wait(timeout=300) for process in running] == [0, 0]
    with Answers(folder) as held:
        assert all(held.get(f"{w}-{i}") == {"text": "x" * (i * 13 % 9000)} for w in (0, 1) for i in range(200))


def test_lines_are_json_to_read(folder: Path) -> None:
    filled(folder, 2)
    header, line, _ = (folder / "answers.jsonl").read_text().splitlines()
    assert json.loads(header) == {"deltakit_answers": 1}
    assert json.loads(line.split(" ", 2)[2]) == {"text": ""}
