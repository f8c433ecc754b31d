"""Calling the command line in this process, through its real error boundary."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from deltakit_cli.errors import guarded
from deltakit_cli.main import cli


@dataclass(frozen=True)
class Called:
    """What a call left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.out)
        return parsed


def call(*argv: object) -> Called:
    """deltakit ARGV..."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = guarded(cli, [str(a) for a in argv])
    return Called(code, out.getvalue(), err.getvalue())
