from __future__ import annotations

import pytest

from deltakit.sandbox.outcome import Outcome, outcome_of


def test_a_reply_becomes_an_outcome():
    found = outcome_of({"stdout": "1\n", "error": "", "status": "ok", "seconds": 0.5})
    assert found == Outcome("1\n", "", "ok", 0.5)
    assert found.ok


@pytest.mark.parametrize(
    "reply", [{}, {"status": "fine", "seconds": 1.0}, {"status": "ok", "seconds": "1"}, {"status": []}]
)
def test_what_is_no_reply_is_not_believed(reply):
    with pytest.raises((ValueError, TypeError)):
        outcome_of(reply)


@pytest.mark.parametrize("status", ["error", "exited", "timeout", "memory", "killed"])
def test_only_ok_is_ok(status):
    assert not outcome_of({"status": status, "seconds": 0}).ok
