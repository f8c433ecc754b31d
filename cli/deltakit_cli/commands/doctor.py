"""deltakit doctor: is this machine and installation fit for work?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from deltakit.errors import VerificationError
from deltakit_cli.checkup import checkup
from deltakit_cli.options import example, format_option
from deltakit_cli.output import console, emit, table


@click.command(epilog=example("deltakit doctor\ndeltakit doctor --format json"))
@format_option
def command(fmt: str) -> None:
    """Check versions, cores, memory, disk and device. Paste its output into a bug report; it sends nothing anywhere.

    Ends with code 6 if something that deltakit needs is missing or known to be unsafe.
    """
    found = checkup()
    emit(found, _show, fmt)
    bad = [f"{c['what']}: {c['found']}; {c['remedy']}" for c in found["checks"] if c["state"] == "bad"]
    if bad:
        raise VerificationError(f"{len(bad)} check(s) failed", details=bad, remedy="see the list above")


def _show(found: Mapping[str, Any]) -> None:
    out = console()
    rows = [[c["state"], c["what"], c["found"], c["remedy"]] for c in found["checks"]]
    out.print(table(["", "what", "found", "what to do"], rows))
