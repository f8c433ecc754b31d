"""Fixtures that every room may use: shared data and models where they are, tiny pairs made on the spot."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from support.models import tiny_llama, tiny_tuned

# A shell starts background jobs with SIGINT ignored, and the processes that tests interrupt would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent


def _shared(variable: str, folder: str) -> Path:
    path = Path(os.environ.get(variable, ROOT.parent / "shared" / folder))
    if not path.is_dir():
        pytest.skip(f"no {folder} at {path}; set {variable}")
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data (DELTAKIT_DATA, else ../shared/data); skips where there is none."""
    return _shared("DELTAKIT_DATA", "data")


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """The folder of real small models (DELTAKIT_MODELS, else ../shared/models); skips where there is none."""
    return _shared("DELTAKIT_MODELS", "models")


@pytest.fixture(scope="session", params=["BF16", "F16", "F32"])
def dtype(request: pytest.FixtureRequest) -> str:
    """Each float dtype of weights in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def tiny_pair(dtype: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(base, tuned) folders in `dtype`. Read only: tests must not write to them."""
    folder = tmp_path_factory.mktemp(f"pair-{dtype}")
    base = tiny_llama(folder / "base", seed=1, dtype=dtype)
    return base, tiny_tuned(base, folder / "tuned", seed=2)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One bf16 folder. Read only."""
    return tiny_llama(tmp_path_factory.mktemp("tiny") / "base", seed=1)


@pytest.fixture(scope="session")
def tiny_grown(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fine-tune of `tiny_base` with one more vocabulary row (MetaMath's 32,001 against 32,000). Read only."""
    return tiny_tuned(tiny_base, tmp_path_factory.mktemp("tiny") / "grown", seed=3, extra_rows=1)
