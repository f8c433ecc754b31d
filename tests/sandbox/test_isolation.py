from __future__ import annotations

import json
import os

import deltakit.sandbox.isolation as made
from deltakit.sandbox.isolation import Isolation
from deltakit.sandbox.limits import Limits


def settings(command: list[str]) -> dict:
    """What the fork server is told, the last word of its command line."""
    return json.loads(command[-1])


def test_bubblewrap_that_is_not_there(monkeypatch):
    monkeypatch.setattr(made.shutil, "which", lambda name: None)
    assert Isolation.of("bubblewrap") is None


def test_another_system_has_neither(monkeypatch):
    monkeypatch.setattr(made.sys, "platform", "darwin")
    assert Isolation.of("bubblewrap") is None
    assert Isolation.of("namespaces") is None
    assert Isolation.of("unsafe") is not None


def test_only_unsafe_is_unsafe():
    assert not Isolation("unsafe", "").safe
    assert Isolation("bubblewrap", "0.8.0").safe


def test_bubblewrap_shares_nothing_and_clears_the_environment():
    command = Isolation("bubblewrap", "0.8.0").command(0, Limits(), (), "")
    assert {"--unshare-net", "--unshare-pid", "--unshare-ipc", "--as-pid-1", "--clearenv"} <= set(command)
    assert "--bind" not in command  # nothing but /tmp is writable
    assert command[command.index("--remount-ro", command.index("--proc")) + 1] == "/"


def test_an_ordinary_user_gets_a_user_namespace(monkeypatch):
    monkeypatch.setattr(made.os, "getuid", lambda: 1000)
    command = Isolation("bubblewrap", "0.8.0").command(0, Limits(), (), "")
    assert "--unshare-user" in command
    assert "--cap-add" not in command
    assert settings(command)["uid"] is None


def test_under_root_every_worker_is_another_user(monkeypatch):
    monkeypatch.setattr(made.os, "getuid", lambda: 0)
    users = {settings(Isolation("bubblewrap", "").command(i, Limits(), (), ""))["uid"] for i in range(8)}
    assert len(users) == 8
    assert all(61184 <= uid < 65520 for uid in users)


def test_the_jail_is_given_the_same_root():
    limits = Limits(folder=1 << 20)
    command = Isolation("namespaces", "").command(0, limits, ("sympy",), "")
    wanted = json.loads(command[-1])
    assert wanted["size"] == 1 << 20
    assert settings(wanted["command"])["imports"] == ["sympy"]
    assert not set(wanted["environment"]) & (
        set(os.environ) - {"PATH", "HOME", "LANG", "OMP_NUM_THREADS"} - set(made.ENVIRONMENT)
    )


def test_unsafe_starts_the_server_itself(tmp_path):
    isolation = Isolation("unsafe", "limits only")
    command = isolation.command(0, Limits(), (), str(tmp_path))
    told = settings(command)
    assert told["folder"] == str(tmp_path)
    assert told["jailed"] is False
    assert isolation.environment(str(tmp_path))["HOME"] == str(tmp_path)
