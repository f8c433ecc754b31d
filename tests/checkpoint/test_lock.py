"""One run per output; a dead process holds nothing."""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path

import pytest

from deltakit.checkpoint.lock import Lock
from deltakit.errors import InputError, ResourceError
from support.faults import broken, faulty


def test_the_second_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / "out"), Lock(tmp_path / "out")
    first.take()
    with pytest.raises(InputError, match=f"process {os.getpid()}"):
        second.take()
    Lock(tmp_path / "other").take()
    first.release()
    first.release()
    second.take()
    second.release()
    assert not (tmp_path / "out.lock").exists()


def test_a_dead_process_leaves_no_lock_behind(tmp_path: Path) -> None:
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        Lock(tmp_path / "out").take()
        os.write(tell, b"x")
        signal.pause()
    os.read(ready, 1)
    with pytest.raises(InputError, match=f"process {child}"):
        Lock(tmp_path / "out").take()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(ready)
    os.close(tell)
    assert (tmp_path / "out.lock").exists()
    lock = Lock(tmp_path / "out")
    lock.take()
    assert (tmp_path / "out.lock").read_text() == f"{os.getpid()}\n"
    lock.release()


def test_a_lock_file_of_a_longer_process_id_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "out.lock").write_text("99999999999999\n")
    lock = Lock(tmp_path / "out")
    lock.take()
    assert (tmp_path / "out.lock").read_text() == f"{os.getpid()}\n"
    lock.release()


def test_a_lock_file_removed_between_opening_and_locking_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, path = fcntl.flock, tmp_path / "out.lock"

    def racing(fd: int, how: int) -> None:
        if not racing_done:
            racing_done.append(True)
            path.unlink()  # the former holder lets go just now
        real(fd, how)

    racing_done: list[bool] = []
    monkeypatch.setattr(fcntl, "flock", racing)
    lock = Lock(tmp_path / "out")
    lock.take()
    assert path.read_text() == f"{os.getpid()}\n"
    with pytest.raises(InputError):
        Lock(tmp_path / "out").take()
    lock.release()


@pytest.mark.parametrize("operation", ["ftruncate", "pwrite"])
def test_a_failure_while_taking_it_lets_go(tmp_path: Path, operation: str) -> None:
    with faulty(broken(0, only=operation)), pytest.raises(ResourceError):
        Lock(tmp_path / "out").take()
    lock = Lock(tmp_path / "out")
    lock.take()
    lock.release()
