"""`python -m deltakit_cli` is the command line."""

import subprocess
import sys


def test_it_is_the_command_line():
    done = subprocess.run([sys.executable, "-m", "deltakit_cli", "ls", "nonsense"], capture_output=True, check=False)
    assert done.returncode == 2
    assert b"nonsense" in done.stderr
