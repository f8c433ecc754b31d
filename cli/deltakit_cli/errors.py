"""The error boundary: one line saying what is wrong where, one saying what to do; tracebacks only on request."""

from __future__ import annotations

import errno
import os
import shlex
import sys
import traceback

import click

from deltakit.errors import DeltakitError

__all__ = ["guarded", "say"]


def say(message: str, remedy: str = "", details: tuple[str, ...] = ()) -> None:
    """An error on stderr."""
    print(f"error: {message}", file=sys.stderr)
    for detail in details:
        print(f"  - {detail}", file=sys.stderr)
    if remedy:
        print(f"hint: {remedy}", file=sys.stderr)


def guarded(command: click.Command, argv: list[str]) -> int:
    """Run a click command; give the exit code of the house (ARCHITECTURE: command line)."""
    try:
        code = command.main(args=argv, prog_name="deltakit", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as wrong:
        wrong.show()
        return wrong.exit_code
    except (KeyboardInterrupt, click.Abort):
        say("interrupted; nothing half-written was published", f"run it again to resume: deltakit {shlex.join(argv)}")
        return 130
    except DeltakitError as expected:
        _traceback()
        say(expected.message, expected.remedy, expected.details)
        return expected.exit_code
    except Exception as unexpected:
        _traceback()
        return _unexpected(unexpected)


def _unexpected(error: Exception) -> int:
    """What no room foresaw; the errors of the machine still get their codes."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        say(f"the disk is full: {error.filename or error}", "free some space and run the same command again")
        return 5
    if isinstance(error, OSError) and error.errno in (errno.ENAMETOOLONG, errno.EILSEQ):
        say(f"{error.strerror}: {os.fsdecode(error.filename or '')[:200]}", "this can be no path; choose another")
        return 2
    if isinstance(error, MemoryError):
        say("out of memory", "close other programs, or use a smaller batch")
        return 5
    say(f"{type(error).__name__}: {error}", "DELTAKIT_DEBUG=1 shows the traceback; please report it with that")
    return 1


def _traceback() -> None:
    if os.environ.get("DELTAKIT_DEBUG") == "1":
        traceback.print_exc()
