"""Evaluating, fault by fault (2 of 2): killed and interrupted runs, full disks, caches that others write or spoil."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deltakit.errors import ResourceError
from deltakit_eval.answers import Answers
from support.cli import call
from support.merge_world import refused
from support.running import write_folder

# The command line, slow enough behind each answer that a signal meets it at work.
SLOW = """
import sys, time
from deltakit_eval.answers import Answers
put = Answers.put
def slow(self, key, value):
    put(self, key, value)
    time.sleep(0.05)
Answers.put = slow
from deltakit_cli.main import main
sys.argv[0] = "deltakit"
main()
"""
ASKED = ("--tasks", "toy_math,toy_chat", "--limit", "20", "--max-new-tokens", "6", "--place", "swap")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("model") / "m")


def words(model: Path, out: Path) -> list[str]:
    return ["eval", f"a={model}", f"b={model} + 0.5*{model}", *ASKED, "-o", str(out)]


def scores(path: Path) -> dict[str, Any]:
    """A results file without times."""
    found: dict[str, Any] = json.loads(path.read_bytes())
    for model in found["models"]:
        del model["seconds"]
        for task in model["tasks"].values():
            del task["seconds"]
    return found


def lines(folder: Path) -> list[bytes]:
    """The whole lines of answers that a run keeps, without its header."""
    kept = [path.read_bytes() for path in folder.glob("*.partial-*/files/answers.jsonl")]
    return kept[0].split(b"\n")[1:-1] if kept else []


def stopped(model: Path, out: Path, kind: signal.Signals) -> tuple[int, str]:
    """A run that a signal meets behind some answers: how it ended, and what it said."""
    argv = [sys.executable, "-c", SLOW, *words(model, out)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 100
        while len(lines(out.parent)) < 7 and time.monotonic() < until and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(kind)
        _, err = process.communicate(timeout=60)
    return process.returncode, err


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_goes_on_with_the_same_numbers(
    model: Path, tmp_path: Path, kind: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that was known is asked again."""
    out = tmp_path / "r.json"
    code, err = stopped(model, out, kind)
    if kind is signal.SIGINT:
        assert (code, "run it again to resume: deltakit eval" in err) == (130, True), err
    else:
        assert code == -signal.SIGKILL
    kept = {line.split(b" ")[1].decode() for line in lines(tmp_path)}
    assert len(kept) >= 7
    assert not out.exists()
    asked, put = list[str](), Answers.put
    monkeypatch.setattr(Answers, "put", lambda self, key, value: (asked.append(key), put(self, key, value))[1])
    assert call(*words(model, out)).code == 0
    again = set(asked)
    asked.clear()
    assert call(*words(model, tmp_path / "whole.json")).code == 0
    assert not kept & again
    assert kept | again == set(asked)
    assert scores(out) == scores(tmp_path / "whole.json")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.json", "whole.json"]


def test_a_cache_that_was_spoilt_and_cut_gives_the_same_numbers(model: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert call(*words(model, tmp_path / "one.json"), "--cache", cache).code == 0
    raw = (cache / "answers.jsonl").read_bytes().split(b"\n")
    raw[3], raw[5] = raw[3][:-4] + b"zzzz", b"Z" + raw[5][1:]
    (cache / "answers.jsonl").write_bytes(b"\n".join(raw)[:-30])
    assert call(*words(model, tmp_path / "two.json"), "--cache", cache).code == 0
    assert scores(tmp_path / "one.json") == scores(tmp_path / "two.json")


def test_a_cache_of_another_format_is_left_alone(model: Path, tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text('{"deltakit_answers": 99}\n')
    refused(call("eval", model, *ASKED, "--cache", tmp_path), 3, "format 99", "remove the file")
    assert (tmp_path / "answers.jsonl").read_text() == '{"deltakit_answers": 99}\n'


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """No file of this process may grow above `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill(held: Answers) -> None:
    for i in range(20):
        held.put(f"k{i}", {"text": "x" * 40})


def test_a_disk_that_is_full_loses_no_answer_that_was_kept(tmp_path: Path) -> None:
    with Answers(tmp_path) as held, small_files(500):
        with pytest.raises(ResourceError, match=r"answers\.jsonl"):
            fill(held)
        kept = [f"k{i}" for i in range(20) if f"k{i}" in held]
        assert 2 < len(kept) < 10
        with pytest.raises(ResourceError):
            held.put("more", {"text": ""})
    with Answers(tmp_path) as again:
        assert [again.get(key) for key in kept] == [{"text": "x" * 40}] * len(kept)
        assert len(again) == len(kept)
        again.put("more", [1])
    with Answers(tmp_path) as last:
        assert last.get("more") == [1]


def test_two_runs_that_begin_a_cache_at_one_time_spoil_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Answers(tmp_path) as held:
        held.put("k", [1])
    path = tmp_path / "answers.jsonl"
    header, line = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(header + header + b"\n" + line)
    with Answers(tmp_path) as again:
        assert again.get("k") == [1]
    assert caplog.text == ""
