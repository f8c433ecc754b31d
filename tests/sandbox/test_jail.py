from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deltakit.sandbox import jail as made
from deltakit.sandbox.probe import probe

SYSTEM = [p for p in ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/bin", "/usr/bin") if Path(p).exists()]


def run(script: str, **wanted) -> subprocess.CompletedProcess[str]:
    """A shell command in a jail of the system's own folders."""
    given = {
        "uid": 65534, "binds": [[p, p] for p in SYSTEM if not Path(p).is_symlink()], "devices": ["/dev/null"],
        "links": [[str(Path(p).readlink()), p] for p in SYSTEM if Path(p).is_symlink()], "covered": [], "size": 1 << 20,
        "command": ["/bin/sh", "-c", script], "environment": {"PATH": "/usr/bin:/bin"}, **wanted,
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-I", "-S", made.__file__, json.dumps(given)], capture_output=True, text=True, check=False
    )


@pytest.fixture(autouse=True)
def _holds():
    found = probe("namespaces")
    if isinstance(found, str):
        pytest.skip(f"namespaces: {found}")


def test_the_root_holds_what_was_asked_for_and_nothing_more(tmp_path):
    (tmp_path / "file").write_text("x")
    found = run(
        "echo /*; cat /given/file",
        binds=[*([p, p] for p in SYSTEM if not Path(p).is_symlink()), [str(tmp_path), "/given"]],
    )
    listed, text = found.stdout.splitlines()
    assert set(listed.split()) <= {"/bin", "/dev", "/given", "/lib", "/lib64", "/proc", "/tmp", "/usr"}
    assert text == "x"


def test_the_exit_code_is_the_command_s():
    assert run("exit 7").returncode == 7
    assert run("kill -9 $$").returncode == 0  # process 1 cannot be killed from inside


def test_all_but_tmp_is_read_only(tmp_path):
    found = run("for d in / /usr /given /dev; do touch $d/x 2>/dev/null && echo $d; done; touch /tmp/x && echo tmp",
                binds=[*([p, p] for p in SYSTEM if not Path(p).is_symlink()), [str(tmp_path), "/given"]])  # fmt: skip
    assert found.stdout == "tmp\n"
    assert list(tmp_path.iterdir()) == []


def test_a_covered_folder_is_empty(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "secret").write_text("x")
    found = run("echo /given/inner/*", covered=["/given/inner"],
                binds=[*([p, p] for p in SYSTEM if not Path(p).is_symlink()), [str(tmp_path), "/given"]])  # fmt: skip
    assert found.stdout == "/given/inner/*\n"


def test_a_missing_source_is_said(tmp_path):
    found = run("true", binds=[[str(tmp_path / "none"), "/given"]])
    assert found.returncode != 0
    assert "No such file" in found.stderr


def test_the_map_of_an_ordinary_user_is_one_line(tmp_path, monkeypatch):
    written = {}
    monkeypatch.setattr(made, "write", lambda path, text: written.update({path: text}))
    made.map_user(7, 65534, own=1000, group=100)
    assert written == {
        "/proc/7/setgroups": "deny", "/proc/7/uid_map": "65534 1000 1\n", "/proc/7/gid_map": "65534 100 1\n"
    }  # fmt: skip
