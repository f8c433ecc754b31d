"""The checks behind `deltakit doctor`."""

import pytest

from deltakit_cli import checkup as checks
from deltakit_cli.checkup import checkup


def test_this_machine_is_fit():
    found = checkup()
    assert found["ok"], [c for c in found["checks"] if c["state"] == "bad"]
    assert {"python", "torch", "cores", "device"} <= {c["what"] for c in found["checks"]}


def test_an_old_or_missing_package_is_bad(monkeypatch):
    versions = {"torch": "2.1.0", "numpy": "1.99.0"}

    def version(name):
        if name not in versions:
            raise checks.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(checks, "version", version)
    found = {c["what"]: c["state"] for c in checkup()["checks"]}
    assert (found["torch"], found["numpy"], found["safetensors"], found["peft"]) == ("bad", "ok", "bad", "note")


def test_a_data_folder_that_is_not_there_is_bad(monkeypatch, tmp_path):
    monkeypatch.setenv("DELTAKIT_DATA", str(tmp_path / "gone"))
    assert not checkup()["ok"]


@pytest.mark.parametrize(("text", "numbers"), [("2.13.0+cpu", (2, 13, 0)), ("0.4.13.dev0", (0, 4, 13, 0)), ("x", ())])
def test_versions_compare_as_numbers(text, numbers):
    assert checks._numbers(text) == numbers


def test_what_isolates_programs_is_said(monkeypatch):
    from deltakit.sandbox import Isolation, probe

    monkeypatch.setattr(probe, "available", lambda: Isolation("namespaces", "linux 6.1"))
    (line,) = checks._sandbox()
    assert (line["state"], line["found"]) == ("ok", "namespaces (linux 6.1)")
    monkeypatch.setattr(probe, "available", lambda: None)
    monkeypatch.setattr(probe, "why_not", lambda: ["bubblewrap: not installed", "namespaces: not permitted"])
    (line,) = checks._sandbox()
    assert (line["state"], line["found"]) == ("note", "bubblewrap: not installed; namespaces: not permitted")
    assert "bubblewrap" in line["remedy"]
