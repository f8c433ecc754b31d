from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deltakit.errors import InputError
from deltakit.grade.equality.worker import LONGEST, Compared, Worker, shared_worker

pytest.importorskip("math_verify")

ENDLESS = "10^{10^{10^{10}}}"
SQUARE = ("(x+1)^2", "x^2+2x+1")


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.close()


def test_algebra_is_done_and_an_endless_item_is_killed_and_said(worker: Worker) -> None:
    assert worker.same(*SQUARE, 20) == Compared(True, "")
    start = time.monotonic()
    assert worker.same(ENDLESS, "3", 0.5) == Compared(False, "timeout")
    assert time.monotonic() - start < 10  # it ends itself: nobody waited for GRACE and killed it
    assert worker.same("x", "y", 20) == Compared(False, "")


def test_the_process_is_reused_even_after_a_timeout(worker: Worker) -> None:
    worker.same(*SQUARE, 20)
    first = worker._process
    worker.same(ENDLESS, "3", 0.3)
    worker.same(*SQUARE, 20)
    assert first is not None
    assert worker._process is first


def test_a_killed_process_is_replaced(worker: Worker) -> None:
    worker.same(*SQUARE, 20)
    assert worker._process is not None
    os.killpg(worker._process.pid, signal.SIGKILL)
    assert not worker.same(*SQUARE, 20).same
    assert worker.same(*SQUARE, 20) == Compared(True, "")


def test_close_leaves_no_process_behind() -> None:
    worker = Worker()
    worker.same("x", "y", 20)
    process = worker._process
    assert process is not None
    worker.close()
    assert process.poll() == -signal.SIGKILL
    worker.close()


def test_an_answer_too_long_to_be_one_is_not_parsed() -> None:
    worker = Worker()
    assert worker.same("x" * (LONGEST + 1), "y") == Compared(False, "too long")
    assert worker._process is None


@pytest.mark.parametrize("text", ["\ud800", "\n\n", "\\", "{{{{", "$$", "\x00"])
def test_no_text_stops_the_service(worker: Worker, text: str) -> None:
    assert not worker.same(text, "3", 20).same
    assert worker.same(*SQUARE, 20) == Compared(True, "")


def test_a_process_that_does_not_start_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(InputError, match="does not start") as caught:
        Worker().same("x", "y")
    assert "math-verify" in caught.value.remedy


JUNK = (
    "not json", "[]", "null", '{"same": true}', '{"why": ""}', "\xff", "{",
)  # fmt: skip


@pytest.mark.parametrize("said", JUNK)
def test_junk_is_no_verdict_and_the_process_is_ended(
    said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "python"
    script.write_text(
        f"#!/bin/sh\necho '{{\"ready\": true, \"why\": \"\"}}'\nread line\nprintf '%s\\n' '{said}'\nread line\n"
    )
    script.chmod(0o755)
    worker = Worker()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", str(script))
        assert worker.same("x", "x", 5) == Compared(False, "junk")
    assert worker._process is None


def test_half_a_reply_is_waited_for_no_longer_than_the_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "python"
    script.write_text("""#!/bin/sh\necho '{"ready": true, "why": ""}'\nread line\nprintf '{"same": tr'\nread line\n""")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr("deltakit.grade.equality.worker.GRACE", 0.1)
    assert Worker().same("x", "x", 0.3) == Compared(False, "timeout")


def test_a_first_word_that_is_junk_is_no_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho hello\nread line\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(InputError, match="does not start"):
        Worker().same("x", "x")


def test_a_reply_that_is_not_true_is_not_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker()
    worker.same(*SQUARE, 20)
    monkeypatch.setattr(worker, "_ask", lambda *args: {"same": "yes", "why": ""})
    assert worker.same("x", "y", 5) == Compared(False, "")
    worker.close()


def test_there_is_one_shared_worker() -> None:
    assert shared_worker() is shared_worker()
