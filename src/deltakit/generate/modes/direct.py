"""The plain mode."""

from __future__ import annotations

from dataclasses import dataclass

from deltakit.generate.play import Ask, Play, direct

__all__ = ["Direct"]


@dataclass(frozen=True)
class Direct:
    """One prompt, one answer."""

    def play(self, ask: Ask) -> Play:
        """The text of one answer."""
        return direct(ask)
