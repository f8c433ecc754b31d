"""The frame of the command line."""

import subprocess
import sys

import pytest

from deltakit_cli.main import VERBS, main
from support.cli import call


def test_help_lists_every_verb_and_version_names_the_tool():
    done = call("--help")
    assert done.code == 0
    assert all(verb in done.out for verb in VERBS)
    assert call("--version").out.startswith("deltakit, version 0.")


def test_a_misspelt_verb_is_a_usage_error_with_a_suggestion():
    done = call("extrct", "a", "b")
    assert done.code == 2
    assert "did you mean 'extract'?" in done.err


def test_a_missing_argument_is_a_usage_error():
    done = call("extract", "a")
    assert done.code == 2
    assert "TUNED" in done.err


def test_main_exits_with_the_code(monkeypatch):
    with pytest.raises(SystemExit) as stop:
        main(["verify", "/nowhere/at/all"])
    assert stop.value.code == 3


def test_the_console_script_runs():
    code = "import deltakit_cli.main as m; m.main(['extract', '--help'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Example:" in done.stdout
