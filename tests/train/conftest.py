"""Data and models of these tests."""

import pytest

from support.models import tiny_llama
from support.training import jsonl, metamath, without_pad


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Twenty records of MetaMathQA's schema. Read only."""
    return jsonl(tmp_path_factory.mktemp("data") / "metamath.jsonl", metamath(20))


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """One layer, width 16, bf16: steps of a few milliseconds. Read only."""
    return tiny_llama(tmp_path_factory.mktemp("small") / "base", seed=4, width=16, layers=1)


@pytest.fixture(scope="session")
def padless(small, tmp_path_factory):
    """The same without a padding token. Read only."""
    return without_pad(small, tmp_path_factory.mktemp("padless") / "base")
