"""The checks of `deltakit doctor`: each gives a state (ok, note, bad), what was found, and what to do."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["checkup"]

# Floors justified by advisories or by what the code needs; the extra that brings the package.
_FLOORS = {
    "torch": ("2.10", ""), "safetensors": ("0.5", ""), "numpy": ("1.26", ""), "zstandard": ("0.22", ""),
    "transformers": ("5.3", "models"), "peft": ("0.19", "models"), "accelerate": ("1.6", "models"),
    "lm_eval": ("0.4.13", "eval"), "matplotlib": ("3.8", "report"), "jinja2": ("3.1.6", "report"),
}  # fmt: skip


def checkup() -> dict[str, Any]:
    """All checks, JSON-able; `ok` is False if one is bad."""
    checks = [*_python(), *_packages(), *_machine(), *_device(), *_sandbox(), *_data()]
    return {"ok": all(c["state"] != "bad" for c in checks), "checks": checks}


def _check(state: str, what: str, found: str, remedy: str = "") -> dict[str, str]:
    return {"state": state, "what": what, "found": found, "remedy": remedy}


def _python() -> Iterator[dict[str, str]]:
    fit = sys.version_info >= (3, 11)
    yield _check("ok" if fit else "bad", "python", platform.python_version(), "" if fit else "use Python 3.11 or newer")


def _packages() -> Iterator[dict[str, str]]:
    for name, (floor, extra) in _FLOORS.items():
        try:
            have = version(name)
        except PackageNotFoundError:
            install = f'install the extra: pip install -e ".[{extra}]"' if extra else "install deltakit again"
            yield _check("note" if extra else "bad", name, "not installed", install)
            continue
        fit = _numbers(have) >= _numbers(floor)
        yield _check("ok" if fit else "bad", name, have, "" if fit else f"update to {floor} or newer")


def _numbers(text: str) -> tuple[int, ...]:
    """The leading numbers of a version, for comparison."""
    found = []
    for part in text.split("+")[0].split("."):
        digits = "".join(c for c in part if c.isdigit())
        if not digits:
            break
        found.append(int(digits))
    return tuple(found)


def _machine() -> Iterator[dict[str, str]]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield _check("ok", "cores", str(cores))
    if hasattr(os, "sysconf"):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        yield _check("ok" if memory > 4e9 else "note", "memory", f"{memory / 1e9:.1f} GB")
    free = shutil.disk_usage(Path.cwd()).free
    remedy = "" if free > 5e9 else "merges write whole models: free some disk, or work on another one"
    yield _check("ok" if free > 5e9 else "note", "free disk here", f"{free / 1e9:.1f} GB", remedy)
    policy = os.environ.get("OMP_WAIT_POLICY", "unset")
    passive = policy.upper() == "PASSIVE"
    remedy = "" if passive else "set OMP_WAIT_POLICY=PASSIVE for small models"
    yield _check("ok" if passive else "note", "OMP_WAIT_POLICY", policy, remedy)


def _device() -> Iterator[dict[str, str]]:
    try:
        import torch
    except ImportError:
        return
    found = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
    yield _check("ok", "device", found)


def _sandbox() -> Iterator[dict[str, str]]:
    try:
        from deltakit.sandbox.probe import available, why_not
    except ImportError:
        return  # without torch: said above
    found = available()
    if found is not None:
        yield _check("ok", "sandbox for programs", f"{found.kind} ({found.version})")
    else:
        remedy = "code tasks need it: install bubblewrap, or allow user namespaces"
        yield _check("note", "sandbox for programs", "; ".join(why_not()), remedy)


def _data() -> Iterator[dict[str, str]]:
    for variable, what in (("DELTAKIT_DATA", "data sets"), ("DELTAKIT_MODELS", "small models for tests")):
        given = os.environ.get(variable)
        if given and not Path(given).is_dir():
            yield _check("bad", variable, f"{given} does not exist", "name an existing folder, or unset it")
        else:
            yield _check("ok", variable, given or "unset", f"names a folder of local {what}" if not given else "")
