from __future__ import annotations

import os
import socket

import pytest

from deltakit.errors import ResourceError
from deltakit.sandbox import probe as made
from deltakit.sandbox.isolation import Isolation


@pytest.fixture(autouse=True)
def _afresh():
    yield
    made.probe.cache_clear()
    made.escapes.cache_clear()


def test_what_holds_lets_nothing_through(isolation):
    made.escapes.cache_clear()
    assert made.escapes(isolation) == ()


def state_of_machine() -> list[object]:
    """What the probe's attempts to write would change, were they more than attempts."""
    places = ("/", "/usr", "/usr/lib", "/etc", "/dev")
    return [*(sorted(os.listdir(place)) for place in places), socket.gethostname()]


def test_the_unsafe_way_is_found_out():
    """The probe can fail: where nothing isolates, it lists what a program reaches."""
    unsafe = Isolation.of("unsafe")
    assert unsafe is not None
    before = state_of_machine()
    reached = made.escapes(unsafe)
    assert state_of_machine() == before  # the attack is real, what it changed must be nothing
    assert "reads a file of this machine" in reached
    assert "sees our processes" in reached
    assert "writes in /etc" in reached or not os.access("/etc", os.W_OK)
    assert "opens a socket" not in reached  # the kernel's filter holds there too


def test_a_leak_is_no_isolation(monkeypatch):
    monkeypatch.setattr(made, "escapes", lambda isolation: ("opens a socket",))
    made.probe.cache_clear()
    assert made.probe("namespaces") == "a program opens a socket"
    assert made.available() is None
    assert "namespaces: a program opens a socket" in made.why_not()


def test_what_does_not_start_is_no_isolation(monkeypatch):
    def refuse(isolation):
        raise ResourceError("unshare: Operation not permitted")

    monkeypatch.setattr(made, "escapes", refuse)
    made.probe.cache_clear()
    assert made.probe("namespaces") == "unshare: Operation not permitted"


def test_not_installed(monkeypatch):
    monkeypatch.setattr(made.Isolation, "of", classmethod(lambda cls, kind: None))
    made.probe.cache_clear()
    assert made.probe("bubblewrap") == "not installed"
