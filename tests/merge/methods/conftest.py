"""Three fine-tunes of a base in each dtype."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.oracles import Stored, three


@pytest.fixture
def stored(tmp_path: Path, dtype: str) -> Stored:
    return three(tmp_path, dtype)
