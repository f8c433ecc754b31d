"""What is asked of a compression. Run: pytest tests/compress/run/test_request.py"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from deltakit.compress.run.request import Request, Sampling


def test_a_request_cannot_be_changed_and_can_be_varied():
    request = Request("base", "tuned", Path("a"), ratio=16.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.ratio = 8  # type: ignore[misc]
    other = dataclasses.replace(request, sampling=Sampling(samples=4))
    assert request.sampling is None
    assert (other.ratio, other.sampling) == (16.0, Sampling(samples=4))
    assert other != request
