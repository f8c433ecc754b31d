"""Sandboxes for tests: one per isolation that holds here, kept for the session."""

from __future__ import annotations

import pytest

from deltakit.sandbox import Isolation, Sandbox
from deltakit.sandbox.isolation import KINDS
from deltakit.sandbox.probe import available, probe


@pytest.fixture(scope="session", params=KINDS)
def isolation(request: pytest.FixtureRequest) -> Isolation:
    """Each isolation in turn; skips, and says why, where one does not hold."""
    found = probe(request.param)
    if isinstance(found, str):
        pytest.skip(f"{request.param}: {found}")
    return found


@pytest.fixture(scope="session")
def jail(isolation: Isolation):
    """A sandbox of one worker with SymPy loaded."""
    with Sandbox(isolation, jobs=1) as box:
        yield box


@pytest.fixture(scope="session")
def box():
    """The best sandbox of this machine, of two workers."""
    found = available()
    if found is None:
        pytest.skip("nothing isolates programs here")
    with Sandbox(found, jobs=2) as made:
        yield made
