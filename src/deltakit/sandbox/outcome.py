"""What became of a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

__all__ = ["Outcome", "Status", "outcome_of"]

Status: TypeAlias = Literal["ok", "error", "exited", "timeout", "memory", "killed"]


@dataclass(frozen=True)
class Outcome:
    """`stdout`: what it printed, cut at the limit; `error`: "" or the last line of its traceback; `seconds` of wall.

    `status`: "ok" it ran to its end; "error" an exception ended it; "exited" it left before its end (sys.exit,
    os._exit); "timeout" and "memory" it went over a limit; "killed" a signal ended it, or the sandbox had to be ended.
    """

    stdout: str
    error: str
    status: Status
    seconds: float

    @property
    def ok(self) -> bool:
        """It ran to its end."""
        return self.status == "ok"


def outcome_of(reply: Mapping[str, Any]) -> Outcome:
    """A reply of the fork server, checked: what comes out of a sandbox is not trusted. ValueError if it is none."""
    status: Any = reply.get("status")
    seconds = reply.get("seconds")
    if status not in get_args(Status) or not isinstance(seconds, float | int):
        raise ValueError(f"not a reply: {str(reply)[:100]}")
    return Outcome(str(reply.get("stdout", "")), str(reply.get("error", "")), status, float(seconds))
