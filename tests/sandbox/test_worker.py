from __future__ import annotations

import select
import sys

import pytest

from deltakit.errors import ResourceError
from deltakit.generate.play import Run
from deltakit.sandbox import worker as made
from deltakit.sandbox.isolation import Isolation
from deltakit.sandbox.limits import Limits
from deltakit.sandbox.outcome import Outcome
from deltakit.sandbox.worker import Worker


class Fake(Isolation):
    """A server that says what it is told to say."""

    def command(self, worker, limits, imports, folder):
        return [sys.executable, "-S", "-c", self.version]


def wait(worker: Worker) -> Outcome:
    while (found := worker.take()) is None:
        select.select([worker], [], [], 0.2)
    return found


def fake(code: str) -> Worker:
    hello = (
        "import os, json, sys, time\n"
        "def say(m):\n    b = m if isinstance(m, bytes) else json.dumps(m).encode()\n"
        "    os.write(1, len(b).to_bytes(4, 'big') + b)\n"
        "say({'ready': True, 'jailed': False})\nos.read(0, 1 << 16)\n"
    )
    return Worker(Fake("unsafe", hello + code), Limits(), ())


@pytest.mark.parametrize(
    "code",
    [
        "",
        "say([1])",
        "say({'status': 'wonderful', 'seconds': 1})",
        "say(b'not json')",
        "os.write(1, (1 << 30).to_bytes(4, 'big'))",
        "os.write(1, b'xx')",
        "sys.exit(3)",
    ],
)
def test_nonsense_from_a_sandbox_is_not_believed(code):
    worker = fake(code)
    worker.give(Run("x"))
    assert wait(worker) == Outcome("", "the sandbox ended", "killed", 10.0)
    worker.end()


def test_a_server_that_is_stuck_is_ended(monkeypatch):
    monkeypatch.setattr(made, "GRACE", 0.2)
    worker = fake("time.sleep(60)")
    worker.give(Run("x", 0.1))
    assert wait(worker).status == "timeout"
    worker.end()


@pytest.mark.parametrize(
    ("code", "why"), [("import sys; sys.exit('no such thing')", "no such thing"), ("print('hello you')", "")]
)
def test_a_server_that_does_not_start_says_why(code, why):
    worker = Worker(Fake("unsafe", code), Limits(), ())
    worker.give(Run("x"))
    with pytest.raises(ResourceError, match=f"does not start.*{why}"):
        wait(worker)


def test_a_server_that_only_claims_to_be_jailed_is_not_taken():
    worker = Worker(Fake("bubblewrap", fake("").isolation.version), Limits(), ())
    worker.give(Run("x"))
    with pytest.raises(ResourceError, match="does not start"):
        wait(worker)
