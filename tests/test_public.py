"""The public names: each is there, documented, and costs nothing until it is used."""

import subprocess
import sys

import pytest

import deltakit


@pytest.mark.parametrize("name", deltakit.__all__)
def test_every_public_name_is_there_and_documented(name):
    found = getattr(deltakit, name)
    assert found.__doc__, name
    assert name in dir(deltakit)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = deltakit.nothing


def test_importing_deltakit_imports_nothing_heavy():
    code = "import sys, deltakit; sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'transformers')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
