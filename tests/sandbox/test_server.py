from __future__ import annotations

import json
import os
import signal
import sys

import pytest

from deltakit.sandbox import server

NONCE = b"0123456789abcdef"


def test_judge_believes_the_nonce_alone():
    done = NONCE + json.dumps(["ok", ""]).encode()
    assert server.judge(done, NONCE, 0) == ("ok", "")
    assert server.judge(done, b"another", 0)[0] == "exited"
    assert server.judge(b'["ok", ""]', NONCE, 0)[0] == "exited"
    assert server.judge(done + done, NONCE, 0)[0] == "exited"
    assert server.judge(b"", NONCE, 0) == ("exited", "left with exit code 0 before its end")
    assert server.judge(None, NONCE, 3 << 8) == ("exited", "left with exit code 3 before its end")
    assert server.judge(None, NONCE, signal.SIGSEGV) == ("killed", "ended by SIGSEGV")
    assert server.judge(done, NONCE, signal.SIGXCPU)[0] == "timeout"


class Odd(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "line"),
    [(ValueError("no"), "ValueError: no"), (KeyError(), "KeyError"), (Odd(), "Odd"), (ValueError("x" * 9999), None)],
)
def test_last_line(error, line):
    found = server.last_line(error)
    assert found == line if line else len(found) == 1000


@pytest.mark.parametrize(
    ("text", "status", "error"),
    [
        ("x = 1", "ok", ""),
        ("1 / 0", "error", "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(0)", "exited", "SystemExit: 0"),
        ("raise MemoryError", "memory", "MemoryError"),
        ("def f(:", "error", "SyntaxError: invalid syntax (<program>, line 1)"),
        ("assert __name__ == '__main__'", "ok", ""),
    ],
)
def test_execute(text, status, error, monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    assert server.execute(text) == (status, error)


@pytest.fixture
def pipes(monkeypatch):
    """Descriptors 0 and 1 of the server as a pair of pipes."""
    read, write = os.pipe()
    real_read, real_write = os.read, os.write
    monkeypatch.setattr(server.os, "read", lambda fd, n: real_read(read if fd == 0 else fd, n))
    monkeypatch.setattr(server.os, "write", lambda fd, data: real_write(write if fd == 1 else fd, data))
    yield write
    os.close(read)


def test_messages_go_through(pipes):
    server.send({"program": "x" * 9000, "seconds": 1.0})
    assert server.receive() == {"program": "x" * 9000, "seconds": 1.0}
    os.close(pipes)
    assert server.receive() is None


def test_only_process_one_of_a_namespace_may_end_all_others(tmp_path):
    """Else a signal to -1 would end every process of the user."""
    assert not server.Server({"limits": {}, "folder": str(tmp_path), "jailed": True}).jailed


def test_clean_empties_the_folder_and_follows_no_link(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    folder = tmp_path / "folder"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "file").write_text("x")
    (folder / "link").symlink_to(outside)
    (folder / "a" / "link").symlink_to(outside)
    (folder / "a" / "b").chmod(0)
    folder.chmod(0o500)
    server.Server({"limits": {}, "folder": str(folder), "jailed": False}).clean()
    assert list(folder.iterdir()) == []
    assert folder.stat().st_mode & 0o777 == 0o700  # the next program may write again
    assert (outside / "kept").read_text() == "x"


def test_the_watch_sees_nothing_outside_a_namespace():
    assert server.resident() == 0
